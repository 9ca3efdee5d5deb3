"""Chapters rendered and executed, and the site made of them."""

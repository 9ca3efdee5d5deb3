"""The ladder: NumPy against torch against every faster form."""

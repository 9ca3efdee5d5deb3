"""One training loop: its recipe, its checkpoints, its processes."""

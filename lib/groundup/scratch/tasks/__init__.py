"""What the NumPy models learn: digits, two-digit numbers, stories, and splits without overlap."""

"""A NumPy training in the terminal: kept on disk, shown as it runs, drawn when it ends."""

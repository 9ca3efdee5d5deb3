"""What a command runs from end to end: the digit models, the text model, the tour, search."""

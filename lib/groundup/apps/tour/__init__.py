"""The tour: the whole ladder, climbed once."""

"""The exercise engine: checks, the sandbox they run in, wrong versions, diagnosis."""

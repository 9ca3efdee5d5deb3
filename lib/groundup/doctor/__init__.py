"""The doctor: runs what the course needs, on this machine, and says what to mend."""

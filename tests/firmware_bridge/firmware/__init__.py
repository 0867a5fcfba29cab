"""The firmware's C against the Python that reads it."""

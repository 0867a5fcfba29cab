"""Settings shipped as data."""

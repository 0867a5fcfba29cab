"""Scripts for virtual bands, shipped as data."""

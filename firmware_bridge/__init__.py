"""The link to the bands: wire format, Bluetooth, clock, virtual bands."""

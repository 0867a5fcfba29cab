"""The device decodes: services with which it shows what its decoder says. docs/formats/device.md."""

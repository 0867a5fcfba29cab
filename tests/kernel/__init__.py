"""T3: a real kernel and bluetoothd in QEMU, between bleak's own BlueZ backend and the virtual bands."""

"""T2: bleak's own BlueZ backend, unmodified, against an org.bluez service on a private bus."""

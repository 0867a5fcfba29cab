"""Tests of the services with which a device shows what its decoder says."""

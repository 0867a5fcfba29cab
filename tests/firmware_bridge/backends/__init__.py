"""Tests of firmware_bridge.backends."""

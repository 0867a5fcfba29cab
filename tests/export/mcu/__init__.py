"""Tests of the generated C of a microcontroller."""

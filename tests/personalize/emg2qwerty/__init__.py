"""Tests of personalize.emg2qwerty."""

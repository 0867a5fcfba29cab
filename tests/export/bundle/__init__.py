"""Tests of export.bundle."""

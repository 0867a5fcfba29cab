"""Tests of export.phone."""

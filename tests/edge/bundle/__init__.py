"""Tests of edge.bundle."""

"""Tests of edge.lm."""

"""Tests of the verbs' parts."""

"""Tests of personalize.many."""

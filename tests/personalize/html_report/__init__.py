"""Tests of personalize.html_report."""

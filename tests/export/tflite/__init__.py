"""Tests of export.tflite."""

"""Tests of training: data set, networks, loss, loop, personalisation."""

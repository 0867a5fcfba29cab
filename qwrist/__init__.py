"""The command line: parses, composes the packages, renders."""

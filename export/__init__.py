"""Lowering trained networks to device files, and proving that they say the same."""

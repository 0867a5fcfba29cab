"""Backends that speak bleak's API over other stacks."""

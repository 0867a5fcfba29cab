"""The C of edge/c compiled for this computer and for emulated Cortex-M boards, and what it answers."""

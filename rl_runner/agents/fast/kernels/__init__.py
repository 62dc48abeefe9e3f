"""Compiled functions over NumPy arrays; they know neither torch nor SB3."""

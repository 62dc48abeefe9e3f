"""Layer 2: what learns. One registry row per algorithm; SB3's own, and two written by hand."""

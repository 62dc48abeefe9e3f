"""Layer 4: the road from a config to a folder of results."""

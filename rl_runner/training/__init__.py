"""Layer 4: from a config to a folder of results."""

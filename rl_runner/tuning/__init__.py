"""Layer 5: from a config to better hyperparameters that hold up on seeds nobody searched with."""

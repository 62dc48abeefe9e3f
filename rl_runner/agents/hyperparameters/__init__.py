"""Hyperparameters: read from an algorithm's constructor, checked, and turned into its arguments."""

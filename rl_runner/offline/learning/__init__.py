"""Learning a policy from a log."""

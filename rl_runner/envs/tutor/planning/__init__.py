"""Policies for the tutor that need no deep learning, from rules to the exact optimum."""

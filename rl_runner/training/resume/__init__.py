"""Checkpoints, and how an interrupted run resumes exactly where it was interrupted."""

"""From the numbers of runs to what can be said about an algorithm."""

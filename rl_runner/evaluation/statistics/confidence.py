"""The confidence level that all intervals share."""

LEVEL = 0.95

Interval = tuple[float, float]  # lower and upper end

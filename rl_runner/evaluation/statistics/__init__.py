"""Intervals and tests for five to thirty runs. The unit is the run, and nothing here resamples.

The percentile bootstrap, the usual choice, covers the true mean of normal returns in 83 % of cases
at five runs where it promises 95 %, because five numbers resampled vary less than five new ones.
So none of these intervals resamples. What is known of the returns decides which interval is used:
with known bounds it never leaves them, and it needs no other assumption. Measured coverage is in
docs/comparing.md. The same runs always give the same interval.

Values have the shape (n, …), and the first axis is the runs.

- :mod:`.bounds`: the range of the possible values
- :mod:`.dirichlet_means`: the mean, and a difference of means, of bounded values (Gaffke 2005)
- :mod:`.means`: the mean of unbounded values (Hall 1992)
- :mod:`.ranks`: the median, the interquartile mean, the probability of improvement
- :mod:`.differences`: two means compared, p values of several tests (Holm 1979), seeds needed
- :mod:`.sequential`: tests that may be repeated after every batch of seeds
- :mod:`.summary`: what n runs amount to, from the modules above
"""

LEVEL = 0.95  # the confidence level that all intervals share

Interval = tuple[float, float]  # lower and upper end

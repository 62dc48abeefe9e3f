"""What is searched: hyperparameters, their ranges and conditions, checked against the algorithm."""

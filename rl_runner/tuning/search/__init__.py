"""The search itself: Optuna's samplers and pruners, the trials under way, the loop over trials."""

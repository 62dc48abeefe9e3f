"""A study on disk: its folder and Optuna's storage."""

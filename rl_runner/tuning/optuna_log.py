"""Optuna's own messages, switched off where they would confuse a user of `rl tune`."""

import contextlib
import warnings
from collections.abc import Iterator

import optuna


@contextlib.contextmanager
def optuna_silenced() -> Iterator[None]:
    """Suppress Optuna's log, and its warnings that a feature is experimental."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)

"""The hash that identifies an experiment and names its folder."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from rl_runner.config.schema import ExperimentConfig

HASH_LENGTH = 8
NOT_HASHED = (
    ("", "name"),
    ("", "description"),
    ("train", "seeds"),
    ("train", "max_hours"),
    ("train", "keep"),
    ("env", "vec"),
    ("env", "return_bounds"),
    ("env", "max_copies"),
    ("checkpoint", "keep_last"),
    ("checkpoint", "replay_buffer"),
    ("data", "path"),  # the events count, not the path to them; see `fingerprint`
    ("code", "path"),  # the same of modules: their sources count
)


def experiment_hash(config: ExperimentConfig) -> str:
    """Return eight hex digits over everything in a config that changes a run's results."""
    return short_hash(meaning_of(config))


def short_hash(meaning: Mapping[str, Any]) -> str:
    """Return eight hex digits that identify plain values."""
    canonical = json.dumps(meaning, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:HASH_LENGTH]


def meaning_of(config: ExperimentConfig) -> dict[str, Any]:
    """Return everything in a config that changes a run's results, section by section.

    Left out are the name and description; the list of seeds (each seed is a run of its own, so
    that further seeds join the same experiment); ``env.vec`` and ``env.max_copies`` (all ways of
    stepping give the same numbers), ``env.return_bounds`` (which only the statistics use) and
    ``train.keep`` (which agent is taken by default); the
    paths to a log and to local modules; and options about time limits and the files to keep. Call
    this on a resolved config, in which every default is written out.
    """
    meaning = config.to_dict()
    meaning.pop("tune", None)  # it describes a search for other hyperparameters
    if config.code is None or not config.code.modules:
        meaning.pop("code", None)  # only installed packages
    for section, key in NOT_HASHED:
        if not section or section in meaning:
            (meaning[section] if section else meaning).pop(key, None)
    if meaning.get("data", {}).get("ambiguous_times", "") is None:
        del meaning["data"]["ambiguous_times"]  # an option that older experiments did not have
    return meaning

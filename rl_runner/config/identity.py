"""What makes two experiments the same: the hash that names their folder."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from rl_runner.config.schema import ExperimentConfig

HASH_LENGTH = 8
WITHOUT_MEANING = (
    ("", "name"),
    ("", "description"),
    ("train", "seeds"),
    ("train", "max_hours"),
    ("env", "vec"),
    ("checkpoint", "keep_last"),
    ("checkpoint", "replay_buffer"),
    ("data", "path"),  # the events count, not where they lie; see `fingerprint`
)


def experiment_hash(config: ExperimentConfig) -> str:
    """Return eight hex digits over everything that changes a run's results."""
    return short_hash(meaning_of(config))


def short_hash(meaning: Mapping[str, Any]) -> str:
    """Return eight hex digits over plain values."""
    canonical = json.dumps(meaning, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:HASH_LENGTH]


def meaning_of(config: ExperimentConfig) -> dict[str, Any]:
    """Return everything in a config that changes a run's results, section by section.

    Left out: the name and description, the list of seeds (each seed is a run of its own, so that
    more seeds join the same experiment), ``env.vec`` (all ways of stepping give the same
    numbers), where a log lies, and what only says how long to wait and what to keep. Call it on a
    resolved config, where every default is written out.
    """
    meaning = config.to_dict()
    meaning.pop("tune", None)  # says how to look for other hyperparameters, not what these do
    for section, key in WITHOUT_MEANING:
        if not section or section in meaning:
            del (meaning[section] if section else meaning)[key]
    return meaning

"""What makes two experiments the same: the hash that names their folder."""

import hashlib
import json

from rl_runner.config.schema import ExperimentConfig

HASH_LENGTH = 8


def experiment_hash(config: ExperimentConfig) -> str:
    """Return eight hex digits over everything that changes a run's results.

    Left out: the name and description, the list of seeds (each seed is a run of its own, so that
    more seeds join the same experiment), and ``env.vec`` (both ways of stepping give the same
    numbers). Call it on a resolved config, where every default is written out.
    """
    meaning = config.to_dict()
    for key in ("name", "description"):
        del meaning[key]
    del meaning["train"]["seeds"]
    del meaning["env"]["vec"]
    canonical = json.dumps(meaning, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:HASH_LENGTH]

"""What makes two experiments different: the hash that names a folder, and labels to read."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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
MOST_SETTINGS = 3  # listed in a label, unless more are needed to tell experiments apart
SECONDARY = {"eval", "checkpoint"}  # sections whose settings are listed only if they are needed
ABSENT = "none"  # how a setting is shown that a config does not have
Settings = Mapping[str, Any]  # by dotted key


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


def describe_configs(configs: Sequence[ExperimentConfig]) -> list[str]:
    """Return a label for each config: its name, or what tells it apart from those of the same name.

    Where all have the same name a label is only what differs, e.g. ``gamma=0.98``; otherwise the
    name comes before it. Equal configs have equal labels.
    """
    names = [config.name for config in configs]
    counts = Counter(names)
    labels = list(names)
    for name in (name for name, n in counts.items() if n > 1):
        places = [i for i, other in enumerate(names) if other == name]
        for i, text in zip(places, _differences([configs[i] for i in places]), strict=True):
            parts = [] if len(counts) == 1 and text else [name]
            labels[i] = ", ".join([*parts, *([text] if text else [])])
    return labels


def _differences(configs: Sequence[ExperimentConfig]) -> list[str]:
    """Return for each config the settings that tell it apart from the others; may be empty."""
    settings = [dict(_flat(meaning_of(config))) for config in configs]
    keys = list(dict.fromkeys(key for each in settings for key in each))
    differing = [key for key in keys if len({_shown(each.get(key)) for each in settings}) > 1]
    # Another algorithm has other hyperparameters: its name says so.
    if len({config.algo.name for config in configs}) > 1:
        shared = set.intersection(*(set(each) for each in settings))
        differing = [key for key in differing if key in shared]
    primary = [key for key in differing if key.partition(".")[0] not in SECONDARY]
    chosen = primary if len(primary) <= MOST_SETTINGS else _fewest(primary, settings)
    if _n_distinct(chosen, settings) < _n_distinct(differing, settings):
        chosen = _fewest([*primary, *(key for key in differing if key not in primary)], settings)
    names = _short_names(chosen, keys)
    return [
        ", ".join(f"{names[key]}={_shown(each.get(key))}" for key in chosen) for each in settings
    ]


def _fewest(keys: Sequence[str], settings: Sequence[Settings]) -> list[str]:
    """Return few keys that tell apart all that these keys can: the best one first, and so on."""
    chosen: list[str] = []
    while _n_distinct(chosen, settings) < _n_distinct(keys, settings):
        rest = [key for key in keys if key not in chosen]
        chosen.append(max(rest, key=lambda key: _n_distinct([*chosen, key], settings)))
    return [key for key in keys if key in chosen]


def _n_distinct(keys: Sequence[str], settings: Sequence[Settings]) -> int:
    return len({tuple(_shown(each.get(key)) for key in keys) for each in settings})


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _short_names(chosen: Sequence[str], keys: Sequence[str]) -> dict[str, str]:
    """Return the last part of each dotted key, or all of it if another key ends the same."""
    ends = Counter(key.rpartition(".")[2] for key in keys)
    named = {}
    for key in chosen:
        section, _, end = key.rpartition(".")
        named[key] = section if end == "name" else end if ends[end] == 1 else key
    return named


def _shown(value: Any) -> str:
    """Return a value as a label shows it."""
    if value is None or value == {}:
        return ABSENT
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1_000:
        return f"{value:,}"
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)

"""The statistics of a normalised environment: copied, saved and loaded without pickle."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rl_runner.arrays import load_arrays, save_arrays

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecNormalize


def statistics(vec_normalize: "VecNormalize") -> dict[str, np.ndarray]:
    """Return mean, variance and count of returns and of each observation part, as arrays."""
    return {
        f"{name}/{field}": np.asarray(getattr(moments, field))
        for name, moments in _moments(vec_normalize).items()
        for field in ("mean", "var", "count")
    }


def set_statistics(vec_normalize: "VecNormalize", arrays: Mapping[str, np.ndarray]) -> None:
    """Overwrite the statistics with those that :func:`statistics` returned.

    :raises KeyError: if a part is missing
    :raises ValueError: if they are not numbers, or those of observations of a different shape, or
        of parts that are not normalised
    """
    # Everything that was saved must belong to this version's observations.
    wanted = _moments(vec_normalize)
    given = {name.rpartition("/")[0] for name in arrays}
    if given > set(wanted):
        others = ", ".join(sorted(given - set(wanted)))
        message = f"they were saved with statistics of {others}, which this version leaves as it is"
        raise ValueError(message)
    # Check each part before it is copied.
    for name, moments in wanted.items():
        found = {field: arrays[f"{name}/{field}"] for field in ("mean", "var", "count")}
        for field, array in found.items():
            if array.shape != np.shape(getattr(moments, field)):
                message = f"the statistics of `{name}` have a different shape"
                raise ValueError(message)
            if array.dtype.kind not in "fiu":
                message = f"`{name}/{field}` does not hold numbers"
                raise ValueError(message)
        moments.mean = found["mean"].copy()
        moments.var = found["var"].copy()
        moments.count = float(found["count"])


def save_statistics(vec_normalize: "VecNormalize", path: Path) -> None:
    """Write the statistics to an npz file."""
    save_arrays(path, statistics(vec_normalize))


def load_statistics(vec_normalize: "VecNormalize", path: Path) -> None:
    """Read what :func:`save_statistics` wrote; raises OSError, ValueError or KeyError."""
    set_statistics(vec_normalize, load_arrays(path))


def _moments(vec_normalize: "VecNormalize") -> dict[str, Any]:
    """Return the running moments by name: ``returns``, and ``obs`` or ``obs.<key>`` if kept."""
    named: dict[str, Any] = {"returns": vec_normalize.ret_rms}
    obs_rms = getattr(vec_normalize, "obs_rms", None)  # absent if observations are not normalised
    if isinstance(obs_rms, dict):
        named |= {f"obs.{key}": moments for key, moments in obs_rms.items()}
    elif obs_rms is not None:
        named["obs"] = obs_rms
    return named

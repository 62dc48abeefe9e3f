"""What an agent remembers of episodes that are still open, for a run that resumes mid-episode.

An SB3 algorithm keeps it in attributes named ``_last_…`` (observations, episode starts, recurrent
states), as ours do, and in what it explores with: action noise, and the noise matrices of
state-dependent exploration. Each call of ``learn`` resets all of it. It can therefore be restored
only within ``learn``, where the agent is about to collect new experience.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.distributions import StateDependentNoiseDistribution

from rl_runner.agents.state import load_generators
from rl_runner.arrays import load_arrays, save_arrays
from rl_runner.layout import OPEN_EPISODES


def save_open_episodes(agent: Any, folder: Path) -> None:
    """Write what :func:`rl_runner.agents.state.save_state` leaves out, beside it."""
    arrays = dict(_leaves("last", _last(agent)))
    for place, holder in _explorers(agent):
        arrays |= _leaves(place, _arrays_of(holder))
    save_arrays(folder / OPEN_EPISODES, arrays)


def restore_open_episodes(agent: Any, folder: Path) -> None:
    """Put an agent back into the episodes of :func:`save_open_episodes`, random numbers included.

    Call it when the agent, filled from the same folder, is about to collect new experience.
    Raises OSError, ValueError or KeyError if the files are damaged.
    """
    arrays = load_arrays(folder / OPEN_EPISODES)
    for name, fresh in _last(agent).items():
        setattr(agent, name, _filled(f"last/{name}", fresh, arrays))
    for place, holder in _explorers(agent):
        for name, fresh in _arrays_of(holder).items():
            setattr(holder, name, _filled(f"{place}/{name}", fresh, arrays))
    load_generators(agent, folder)  # what came before in this `learn` has drawn from them


def _last(agent: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(agent).items() if name.startswith("_last_")}


def _explorers(agent: Any) -> Iterator[tuple[str, Any]]:
    """Yield what explores with a memory of its own."""
    noise = getattr(agent, "action_noise", None)
    if noise is not None:
        for i, single in enumerate(getattr(noise, "noises", [noise])):
            yield f"noise/{i}", single
    policy = getattr(agent, "policy", None)
    for name, module in policy.named_modules() if policy is not None else ():
        distribution = getattr(module, "action_dist", None)
        if isinstance(distribution, StateDependentNoiseDistribution):
            yield f"sde/{name}", distribution


def _arrays_of(holder: Any) -> dict[str, Any]:
    return {k: v for k, v in vars(holder).items() if isinstance(v, np.ndarray | torch.Tensor)}


def _leaves(place: str, tree: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Name every array and tensor of nested dictionaries and tuples."""
    if isinstance(tree, np.ndarray):
        yield place, tree
    elif isinstance(tree, torch.Tensor):
        yield place, tree.detach().cpu().numpy()
    elif isinstance(tree, dict | tuple):
        for key, branch in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from _leaves(f"{place}/{key}", branch)


def _filled(place: str, fresh: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """Return what was saved, in the form of what a fresh ``learn`` has there."""
    if isinstance(fresh, np.ndarray):
        return arrays[place]
    if isinstance(fresh, torch.Tensor):
        return torch.as_tensor(arrays[place], device=fresh.device)
    if isinstance(fresh, dict):
        return {key: _filled(f"{place}/{key}", part, arrays) for key, part in fresh.items()}
    if isinstance(fresh, tuple):
        parts = [_filled(f"{place}/{i}", part, arrays) for i, part in enumerate(fresh)]
        return type(fresh)(*parts) if hasattr(fresh, "_fields") else tuple(parts)
    return fresh  # nothing that belongs to an episode, or set before it is read

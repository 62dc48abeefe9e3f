"""An agent's state beyond its weights: what it needs to resume exactly, in JSON and arrays only.

SB3's own ``save`` pickles, and still leaves out the replay buffer and the random generators. Here
every plain number of an agent (timesteps, update counts, ε …) becomes ``agent.json``; its recent
episodes, replay buffer and all random states ``state.json``, ``random.npz``, ``replay_buffer.npz``.
It works for any algorithm, because nothing is listed by name that could be found by type.

What belongs to the open episodes (last observation, recurrent state) is not here: most checkpoints
end them (:mod:`rl_runner.training.resume.segments`), for the others see
:mod:`rl_runner.agents.open_episodes`.
"""

import json
import random
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rl_runner.arrays import load_arrays, save_arrays
from rl_runner.layout import COUNTERS, RANDOM_STATES, REPLAY_BUFFER, STATE
from rl_runner.runs.disk import parse_json

RECENT_EPISODES = ("ep_info_buffer", "ep_success_buffer")


def save_numbers(agent: Any, folder: Path) -> None:
    """Write the agent's plain numbers: timesteps, update counts, ε … ."""
    (folder / COUNTERS).write_text(json.dumps(_numbers(agent)), encoding="utf-8")


def load_numbers(agent: Any, folder: Path) -> None:
    """Read what :func:`save_numbers` wrote into an agent built from the same config.

    Only what such an agent has as a number is taken, so that the file cannot replace anything else.

    :raises OSError: if the file cannot be read
    :raises ValueError: if it is damaged, or holds anything but the agent's numbers
    """
    saved = parse_json((folder / COUNTERS).read_text(encoding="utf-8"))
    if not isinstance(saved, dict):
        message = f"{COUNTERS} does not hold a JSON object"
        raise ValueError(message)
    own = _numbers(agent)
    for name, value in saved.items():
        if name not in own:
            message = f"`{name}` is not one of the agent's numbers"
            raise ValueError(message)
        kinds = (int, float) if type(own[name]) is float else (type(own[name]),)
        if type(value) not in kinds:
            message = f"`{name}` is not of the type {kinds[-1].__name__}"
            raise ValueError(message)
    for name, value in saved.items():
        setattr(agent, name, value)


def save_state(agent: Any, folder: Path, *, replay_buffer: bool) -> None:
    """Write the agent's state into ``folder``, beside its weights.

    :param replay_buffer: write the replay buffer too, if the agent has one
    """
    # As JSON: recent episodes, Python's random state, and that of the action space.
    contents = {
        "recent": {
            name: [_plain_episode(item) for item in getattr(agent, name, None) or ()]
            for name in RECENT_EPISODES
        },
        "python_random": random.getstate(),
        "action_space": agent.action_space.np_random.bit_generator.state,
    }
    (folder / STATE).write_text(json.dumps(contents), encoding="utf-8")
    # As arrays: the random states of NumPy and torch.
    _, keys, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002 - SB3 draws from it
    save_arrays(
        folder / RANDOM_STATES,
        {
            "numpy_keys": np.asarray(keys),
            "numpy_position": np.array([position, has_gauss]),
            "numpy_gauss": np.array(gauss),
            "torch": torch.get_rng_state().numpy(),
        },
    )
    # The replay buffer, which is large.
    buffer = getattr(agent, "replay_buffer", None)
    if replay_buffer and buffer is not None:
        save_arrays(folder / REPLAY_BUFFER, _buffer_arrays(buffer))


def load_state(agent: Any, folder: Path, replay_buffer: Any = None) -> None:
    """Read what :func:`save_state` wrote into an agent built from the same config.

    Call it after loading the weights: building an agent draws random numbers, and this restores the
    generators. Raises OSError, ValueError or KeyError if the files are damaged.

    :param replay_buffer: the one that was saved, if it is still at hand: none is read then, for it
        may take up much of the memory
    """
    contents = json.loads((folder / STATE).read_text(encoding="utf-8"))
    for name, items in contents["recent"].items():
        if not hasattr(agent, name):
            continue
        before = getattr(agent, name)  # SB3's are None until it learns for the first time
        length = agent._stats_window_size if before is None else before.maxlen  # noqa: SLF001
        setattr(agent, name, deque(items, maxlen=length))
    if replay_buffer is not None:
        agent.replay_buffer = replay_buffer
    elif (folder / REPLAY_BUFFER).exists():
        _fill_buffer(agent.replay_buffer, folder / REPLAY_BUFFER)
    load_generators(agent, folder)


def load_generators(agent: Any, folder: Path) -> None:
    """Set every random generator back to where :func:`save_state` found it."""
    contents = json.loads((folder / STATE).read_text(encoding="utf-8"))
    version, numbers, gauss = contents["python_random"]
    random.setstate((version, tuple(numbers), gauss))
    agent.action_space.np_random.bit_generator.state = contents["action_space"]
    arrays = load_arrays(folder / RANDOM_STATES)
    position, has_gauss = map(int, arrays["numpy_position"])
    numpy_state = (position, has_gauss, float(arrays["numpy_gauss"]))
    np.random.set_state(("MT19937", arrays["numpy_keys"], *numpy_state))  # noqa: NPY002
    torch.set_rng_state(torch.from_numpy(arrays["torch"]))


def end_open_trajectories(agent: Any) -> None:
    """Mark the replay buffer's last transitions as truncated: their episodes do not continue.

    One-step replay does not care, since the next observation is stored with each transition;
    n-step and hindsight replay must not look beyond it.
    """
    buffer = getattr(agent, "replay_buffer", None)
    if buffer is None or not (buffer.pos or buffer.full):
        return
    last = buffer.pos - 1
    # Hindsight replay also needs the length of each episode that ends here.
    if hasattr(buffer, "truncate_last_trajectory"):
        open_ = np.flatnonzero(buffer._current_ep_start != buffer.pos)  # noqa: SLF001 - HER's own
        for env in open_:
            buffer.dones[last, env] = True
            buffer._compute_episode_length(int(env))  # noqa: SLF001 - as truncate_last_trajectory
            buffer.timeouts[last, env] = True
    elif buffer.optimize_memory_usage:
        buffer.dones[last] = True  # the next observation is overwritten: as SB3 does
    else:
        buffer.timeouts[last] = np.logical_not(buffer.dones[last])


def _numbers(agent: Any) -> dict[str, Any]:
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in vars(agent).items()
        if isinstance(value, bool | int | float | np.number)
    }


def _plain_episode(item: Any) -> Any:
    if isinstance(item, dict):
        return {key: _plain_episode(value) for key, value in item.items()}
    return item.item() if isinstance(item, np.generic) else item


def _buffer_arrays(buffer: Any) -> dict[str, np.ndarray]:
    """Return the filled part of the buffer's arrays, and its position."""
    filled = buffer.buffer_size if buffer.full else buffer.pos
    arrays: dict[str, np.ndarray] = {"position": np.array([buffer.pos, buffer.full], dtype=int)}
    for name, array in _named_arrays(buffer):
        arrays[name] = array[:filled] if len(array) == buffer.buffer_size else array
    return arrays


def _fill_buffer(buffer: Any, path: Path) -> None:
    arrays = load_arrays(path)
    position, full = map(int, arrays["position"])
    buffer.pos, buffer.full = position, bool(full)
    for name, array in _named_arrays(buffer):
        saved = arrays.pop(name)  # so that there are never two of it all
        array[: len(saved)] = saved


def _named_arrays(buffer: Any) -> list[tuple[str, np.ndarray]]:
    """Name every numeric array of a buffer; dictionary observations have one per key."""
    named: list[tuple[str, Any]] = []
    for name, value in sorted(vars(buffer).items()):
        if isinstance(value, dict):
            named += [(f"{name}/{key}", part) for key, part in value.items()]
        else:
            named.append((name, value))
    return [
        (name, value)
        for name, value in named
        if isinstance(value, np.ndarray) and value.ndim and value.dtype != object
    ]

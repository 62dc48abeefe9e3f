"""A generator of environments that break their contract, each from one number.

``BreachingEnv(n)`` is a short walk in a space drawn from ``n``, with one or two breaches drawn from
``n`` too: in what ``reset`` and ``step`` return, in its spaces, in how it is seeded, rendered and
closed, and in when that happens. Most of them nobody should train in; none may cause a traceback.
"""

import sys
import threading
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

BOX = spaces.Box(-1, 1, (3,), np.float32)
SPACES: list[spaces.Space[Any]] = [
    BOX,
    spaces.Box(0, 255, (3,), np.uint8),
    spaces.Box(-5, 5, (2, 2), np.int64),
    spaces.Box(-np.inf, np.inf, (), np.float64),
    spaces.Discrete(4),
    spaces.Discrete(3, start=2),
    spaces.MultiDiscrete([2, 3]),
    spaces.MultiBinary(3),
    spaces.Dict({"near": BOX, "far": spaces.Box(0, 1, (1,), np.float32)}),
]


class Strange:
    """Refuses whatever is asked of it."""

    def __float__(self) -> float:
        message = "not a float"
        raise RuntimeError(message)

    __bool__ = __len__ = __array__ = __float__


ODD: list[Callable[[], Any]] = [
    lambda: None,
    lambda: "text",
    lambda: float("nan"),
    lambda: float("inf"),
    lambda: -float("inf"),
    lambda: 10**400,
    lambda: 1e39,
    lambda: 1e-300,
    lambda: 1 + 2j,
    list,
    dict,
    lambda: (1, 2),
    lambda: [[1], [2, 3]],
    lambda: np.array([1.0]),
    lambda: np.array([], np.float32),
    lambda: np.zeros((2, 2)),
    lambda: np.array(1.0),
    lambda: np.array(["a"]),
    lambda: np.array([None]),
    lambda: np.float16(1),
    lambda: np.datetime64("2020-01-01"),
    lambda: True,
    Strange,
    lambda: object,
    lambda: -1,
    lambda: 0.5,
    lambda: 99,
    lambda: b"bytes",
    lambda: "\ud800",
]
INFOS: list[Callable[[], Any]] = [
    lambda: {"array": np.zeros(3), "text": "a\x1b[31mb", "nothing": None},
    lambda: {1: 2.0, "1": 3.0, (1, 2): 4.0, None: 5.0},
    lambda: {"huge": 10**400, "nan": float("nan"), "inf": float("inf")},
    lambda: {"is_success": np.array([1, 0])},
    lambda: {"is_success": None, "episode": 7},
    lambda: {"episode": {"r": "x"}, "terminal_observation": 3, "TimeLimit.truncated": "maybe"},
    lambda: {"lock": threading.Lock(), "steps": iter([1])},
    lambda: {"\ud800": 1.0, "a" * 10_000: 2.0},
    lambda: {"return": 99.0, "seed": -1.0, "length": 0.5, "policy": 1.0},
    lambda: {"reward_terms": {"a": "text", "b": np.zeros(2), 3: 1.0, "c": float("nan")}},
    lambda: {"reward_terms": 5, "action_mask": [1]},
    lambda: {"strange": Strange(), "action_mask": None},
    lambda: [("a", 1)],
    lambda: None,
    lambda: 3,
]
WHERE = (
    "observation", "reward", "terminated", "truncated", "info", "first", "first_info", "step",
    "reset", "observation_space", "action_space", "signature", "seed", "raise", "render", "close",
    "inside",
)  # fmt: skip


class BreachingEnv(gym.Env[Any, Any]):
    """A walk of at most six steps that breaks its contract as number ``n`` says."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012 - as Gymnasium's

    def __init__(self, n: int = 0, render_mode: str | None = None) -> None:
        rng = np.random.default_rng(n)
        self.render_mode = render_mode
        self.space = SPACES[rng.integers(len(SPACES))]
        self.observation_space = self.space
        self.action_space: spaces.Space[Any] = spaces.Discrete(2)
        self.breaches = {
            WHERE[rng.integers(len(WHERE))]: int(rng.integers(1000))
            for _ in range(int(rng.integers(1, 3)))
        }
        self.when = int(rng.choice([1, 2, 6, 40]))  # steps of this copy from which on it is broken
        self.n_steps = 0
        for name in ("observation_space", "action_space"):
            if name in self.breaches:
                setattr(self, name, self._odd(name))
        if "signature" in self.breaches:
            self.reset = lambda: (self._observe(), {})  # type: ignore[method-assign]

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        if "seed" not in self.breaches:
            super().reset(seed=seed, options=options)
        self.t = 0
        obs: Any = self._observe()
        if self._is_broken("reset"):
            return self._odd("reset")
        if self._is_broken("first"):
            obs = self._odd("first")
        return obs, self._info("first_info")

    def step(self, action: Any) -> Any:
        del action
        self.t += 1
        self.n_steps += 1
        if self._is_broken("raise"):
            self._raise()
        if self._is_broken("step"):
            return self._odd("step")
        ended = bool(self.np_random.random() < 0.2) or self.t >= 6
        result = {
            "observation": self._observe(),
            "reward": float(self.np_random.normal()),
            "terminated": ended,
            "truncated": False,
        }
        for name in result:
            if self._is_broken(name):
                result[name] = self._odd(name)
        return *result.values(), self._info("info")

    def render(self) -> Any:
        return self._odd("render") if "render" in self.breaches else np.zeros((5, 7, 3), np.uint8)

    def close(self) -> None:
        if "close" in self.breaches:
            message = "it does not close"
            raise RuntimeError(message)

    def _observe(self) -> Any:
        """Draw an observation, perhaps with one number replaced."""
        if "seed" in self.breaches:
            self.space.seed(np.random.randint(2**31))  # noqa: NPY002 - the breach
        else:
            self.space.seed(int(self.np_random.integers(2**31)))
        obs: Any = self.space.sample()
        if self._is_broken("inside") and isinstance(obs, np.ndarray) and obs.size:
            odd = [np.nan, np.inf, -1, 0.5, 1e30, 300][self.breaches["inside"] % 6]
            obs = obs.astype(np.float64)
            obs.reshape(-1)[0] = odd
        return obs

    def _info(self, name: str) -> Any:
        return INFOS[self.breaches[name] % len(INFOS)]() if self._is_broken(name) else {}

    def _is_broken(self, name: str) -> bool:
        return name in self.breaches and self.n_steps >= self.when

    def _odd(self, name: str) -> Any:
        return ODD[self.breaches[name] % len(ODD)]()

    def _raise(self) -> None:
        which = self.breaches["raise"] % 4
        if which == 0:
            sys.exit("goodbye")
        errors = [AssertionError(), MemoryError("much"), ValueError("\ud800 values to unpack")]
        raise errors[which - 1]


gym.register("Breaching-v0", entry_point=BreachingEnv, max_episode_steps=8)

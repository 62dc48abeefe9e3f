"""Environments that write down what happens to them; a module of its own, as users' are."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import gymnasium as gym
from gymnasium import spaces


@dataclass
class Played:
    """One episode as the environment itself saw it."""

    rewards: list[float] = field(default_factory=list)
    terminated: bool = False


class Diary(gym.Env[int, int]):
    """Writes down every reset and episode of every copy; ends one step in five; can misbehave.

    :param fails_on: raise in the first step after a reset with this seed, while ``can_fail``
    :param reward_on: give this reward, instead of 0.5 or 1, after a reset with that seed
    """

    seeds: ClassVar[list[list[int | None]]] = []  # by copy, of each reset
    episodes: ClassVar[list[list[Played]]] = []  # by copy, the last one perhaps unfinished
    can_fail: ClassVar[bool] = True

    def __init__(
        self,
        fails_on: int | None = None,
        reward_on: tuple[int, float] | None = None,
        render_mode: str | None = None,
    ) -> None:
        self.observation_space = spaces.Discrete(4)
        self.action_space = spaces.Discrete(2)
        self.fails_on, self.reward_on, self.render_mode = fails_on, reward_on, render_mode
        self.fault: float | None = None
        self.fails = False
        self._seeds: list[int | None] = []
        self._episodes: list[Played] = []
        Diary.seeds.append(self._seeds)
        Diary.episodes.append(self._episodes)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self._seeds.append(seed)
        self._episodes.append(Played())
        self.fails = seed is not None and seed == self.fails_on
        self.fault = None
        if self.reward_on is not None and seed == self.reward_on[0]:
            self.fault = float(self.reward_on[1])
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        del action
        if self.fails and self.can_fail:
            message = "the robot fell off the table"
            raise RuntimeError(message)
        reward = 0.5 * float(self.np_random.integers(1, 3)) if self.fault is None else self.fault
        terminated = bool(self.np_random.random() < 0.2)
        self._episodes[-1].rewards.append(reward)
        self._episodes[-1].terminated = terminated
        return int(self.np_random.integers(4)), reward, terminated, False, {}


class Blind(Diary):
    """Takes no ``render_mode``, as many a first environment does not."""

    def __init__(self) -> None:
        super().__init__()


gym.register("TrainingTestDiary-v0", entry_point=Diary, max_episode_steps=6)
gym.register("TrainingTestBlind-v0", entry_point=Blind, max_episode_steps=6)

"""Many CartPoles at once, each with its own random stream.

Gymnasium's ``CartPoleVectorEnv`` draws all copies' first states from one generator, begins a new
episode one step late, and is no faster than single copies. This subclass keeps its constants,
spaces and rendering, and steps in compiled code. Its numbers are equal to the last bit to those of
single ``CartPole-v1`` environments on the same seeds.
"""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.vector import AutoresetMode

Step = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]


class SameStepCartPole(CartPoleVectorEnv):
    """n copies of CartPole; the step that ends an episode begins the next one.

    Copy ``i`` resets exactly as a single environment with its seed does: on the seeds given to
    :meth:`reset` or :meth:`begin_episodes` first, then from its own generator.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]  # Gymnasium's own is not marked
        **CartPoleVectorEnv.metadata,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(self, num_envs: int = 1, max_episode_steps: int = 500, **keywords: Any) -> None:
        from rl_runner.envs.vectorized.cartpole_dynamics import advance  # loads the compiler: 0.3 s

        super().__init__(num_envs, max_episode_steps, **keywords)
        self._advance = advance
        self.state: np.ndarray = np.zeros((4, num_envs))  # type: ignore[assignment]  # Gymnasium says None
        self.reward_if = (0.0, -1.0) if keywords.get("sutton_barto_reward") else (1.0, 1.0)
        self._generators: list[np.random.Generator | None] = [None] * num_envs
        self._seeds: list[Iterator[int]] = [iter(())] * num_envs

    def begin_episodes(self, copy: int, seeds: Sequence[int]) -> None:
        """Use these seeds for the next resets of one copy, instead of its generator."""
        self._seeds[copy] = iter(seeds)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode in every copy.

        :param seed: one for each copy, or a single one: copy ``i`` then has ``seed + i``
        """
        del options
        if seed is not None:
            seeds = range(seed, seed + self.num_envs) if isinstance(seed, int) else seed
            for i, given in enumerate(seeds):
                if given is not None:
                    self.begin_episodes(i, [given])
        for i in range(self.num_envs):
            self._begin_episode(i)
        return self.state.T.astype(np.float32), {}

    def step(self, action: np.ndarray) -> Step:
        """Step every copy.

        :param action: (n,) 0 or 1
        :return: observations (n, 4) float32, rewards (n,), terminated (n,), truncated (n,), infos
            with ``final_obs`` (n, 4) where ``_final_obs`` says that an episode ended
        :raises ValueError: if an action is neither 0 nor 1
        """
        # NumPy's sine and cosine: compiled ones may differ from them in the last bit.
        angle = self.state[2]
        obs, rewards = np.empty((self.num_envs, 4), np.float32), np.empty(self.num_envs)
        terminated, truncated = np.empty((2, self.num_envs), np.bool_)
        waves = np.cos(angle), np.sin(angle)
        rules = self.max_episode_steps, *self.reward_if
        outcome = obs, rewards, terminated, truncated
        n_ended = self._advance(
            self.state, self.steps, action, waves, self._constants(), rules, outcome
        )
        if n_ended < 0:
            message = f"CartPole's actions are 0 and 1, not {action!r}"
            raise ValueError(message)
        if n_ended == 0:
            return obs, rewards, terminated, truncated, {}
        # Keep the last observations, then begin the next episode of every copy that has ended.
        ended = terminated | truncated
        final_obs = obs.copy()
        for i in np.flatnonzero(ended):
            self._begin_episode(int(i))
            obs[i] = self.state[:, i]
        infos = {"final_obs": final_obs, "_final_obs": ended}
        return obs, rewards, terminated, truncated, infos

    def _begin_episode(self, copy: int) -> None:
        seed = next(self._seeds[copy], None)
        generator = self._generators[copy]
        if seed is not None or generator is None:  # as gymnasium.utils.seeding makes one
            generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
            self._generators[copy] = generator
        self.state[:, copy] = generator.uniform(self.low, self.high, 4)
        self.steps[copy] = 0

    def _constants(self) -> tuple[float, ...]:
        return (
            self.gravity, self.masspole, self.total_mass, self.length, self.polemass_length,
            self.force_mag, self.tau, self.x_threshold, self.theta_threshold_radians,
        )  # fmt: skip

"""The environments that rl_runner adds to Gymnasium's registry."""

import gymnasium as gym


def register_environments() -> None:
    """Register our environments; a second call changes nothing.

    ``BitFlipping-v0`` is the goal-conditioned task of Andrychowicz et al. (2017), section 3.1, as
    stable-baselines3 ships it: flip 10 bits one at a time until they equal the desired goal. It is
    the smallest environment on which hindsight experience replay can be seen to work.

    ``Tutor-v0`` is :class:`rl_runner.envs.tutor.env.TutorEnv`. It truncates its episodes itself,
    because their length is one of its options.

    ``Recommender-v0`` simulates sessions with people, see :mod:`rl_runner.envs.recommender`.
    """
    if "BitFlipping-v0" in gym.registry:
        return
    gym.register(
        id="Recommender-v0",
        entry_point="rl_runner.envs.recommender.env:RecommenderEnv",
        vector_entry_point="rl_runner.envs.recommender.env:RecommenderVectorEnv",
        max_episode_steps=200,
    )
    gym.register(
        id="BitFlipping-v0",
        entry_point="stable_baselines3.common.envs:BitFlippingEnv",
        kwargs={"n_bits": 10, "continuous": False, "max_steps": 10},
        max_episode_steps=10,
        reward_threshold=-5.0,
    )
    gym.register(
        id="Tutor-v0",
        entry_point="rl_runner.envs.tutor.env:TutorEnv",
        vector_entry_point="rl_runner.envs.tutor.vector:TutorVectorEnv",
    )

"""A lift that must not leave its shaft; which moves are allowed is returned by a method of another name."""
import gymnasium as gym
import numpy as np


class Lift(gym.Env):
    observation_space = gym.spaces.Discrete(5)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.floor = int(self.np_random.integers(5))
        return self.floor, {}

    def step(self, action):
        assert self.allowed()[action], "the lift left its shaft"
        self.floor += 1 if action else -1
        return self.floor, float(self.floor == 4), False, False, {}

    def allowed(self):
        return np.array([self.floor > 0, self.floor < 4])


class WithMasks(Lift):
    action_masks = Lift.allowed


def allowed_moves(env):
    return env.unwrapped.allowed()


gym.register("Lift-v0", entry_point=Lift, max_episode_steps=10)
gym.register("WithMasks-v0", entry_point=WithMasks, max_episode_steps=10)

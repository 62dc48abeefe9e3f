"""One step of many CartPoles, compiled."""

import numpy as np

from rl_runner.compiled import compiled


# No fast-math flags: each operation is rounded as in Gymnasium's Python.
@compiled
def advance(
    state: np.ndarray,
    steps: np.ndarray,
    actions: np.ndarray,
    waves: tuple[np.ndarray, np.ndarray],
    constants: tuple[float, ...],
    rules: tuple[int, float, float],
    outcome: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> int:
    """Step every copy by Euler's method (Barto, Sutton & Anderson 1983; Florian 2007).

    :param state: (4, n) float64, changed
    :param steps: (n,) of the episodes so far, changed
    :param waves: cosine and sine of the poles' angles
    :param rules: the time limit in steps, the reward of a step, the reward of a terminating step
    :param outcome: arrays to fill: observations (n, 4) float32, rewards, terminated, truncated (n,)
    :return: how many episodes ended; −1 if an action is neither 0 nor 1
    """
    (cosines, sines), (max_steps, reward, last_reward) = waves, rules
    obs, rewards, terminated, truncated = outcome
    n_ended = 0
    gravity, masspole, total_mass, length, polemass_length, force_mag, tau, x_most, theta_most = (
        constants
    )
    for i in range(len(actions)):
        if actions[i] != 0 and actions[i] != 1:
            return -1
        # Accelerations of the cart and of the pole.
        x, x_dot, theta, theta_dot = state[0, i], state[1, i], state[2, i], state[3, i]
        force = force_mag if actions[i] == 1 else -force_mag
        temp = (force + polemass_length * (theta_dot * theta_dot) * sines[i]) / total_mass
        theta_acc = (gravity * sines[i] - cosines[i] * temp) / (
            length * (4.0 / 3.0 - masspole * (cosines[i] * cosines[i]) / total_mass)
        )
        x_acc = temp - polemass_length * theta_acc * cosines[i] / total_mass
        # Euler's step.
        state[0, i] = x + tau * x_dot
        state[1, i] = x_dot + tau * x_acc
        state[2, i] = theta + tau * theta_dot
        state[3, i] = theta_dot + tau * theta_acc
        for k in range(4):
            obs[i, k] = state[k, i]
        # How the step ended.
        steps[i] += 1
        terminated[i] = abs(state[0, i]) > x_most or abs(state[2, i]) > theta_most
        truncated[i] = steps[i] >= max_steps
        rewards[i] = last_reward if terminated[i] else reward
        n_ended += terminated[i] or truncated[i]
    return n_ended

"""The platform's belief against Bayes' rule written out, and against the truth."""

import itertools

import numpy as np
import pytest
from scipy.stats import norm

from rl_runner.envs.tutor.env import TutorEnv
from rl_runner.envs.tutor.options import TutorOptions
from rl_runner.envs.tutor.planning.dynamic_programming import N_ENGAGEMENTS
from rl_runner.envs.tutor.planning.policies import Mastery, Random
from rl_runner.envs.tutor.planning.qmdp import QMDP
from rl_runner.envs.tutor.simulator import model
from rl_runner.envs.tutor.simulator.knowledge_filter import TYPICAL_ENGAGEMENT, expected_level
from rl_runner.envs.tutor.simulator.state import (
    ANSWER,
    BELIEF_PACE,
    CORRECT,
    EXPERIENCE,
    FEEDBACK,
    FOCUS,
    GENRE,
    KNOWLEDGE,
    LEVEL,
    MINUTES,
    MODULES,
    RESPONSE,
    TOPIC,
)
from rl_runner.envs.tutor.vector import TutorVectorEnv


class BruteForce:
    """The platform's model, with one weight for each (pace, level, level, level)."""

    def __init__(self, row: np.ndarray, n_levels: int) -> None:
        self.top = n_levels
        levels = model.level_probabilities(n_levels)[row[EXPERIENCE]]
        fast = model.FAST_PROBABILITIES[row[EXPERIENCE]]
        self.weights = {
            (pace, *known): (fast if pace else 1 - fast) * np.prod(levels[list(known)])
            for pace in (0, 1)
            for known in itertools.product(range(n_levels + 1), repeat=3)
        }
        self.goal = model.goal_probabilities()[row[GENRE]]
        self.confused = 0.0

    def step(self, row: np.ndarray, minutes: float) -> None:
        topic, response = row[TOPIC], model.RESPONSES[row[RESPONSE]]
        if response in {"skipped", "completed", "stopped"} and row[LEVEL] > 0:
            self._suggestion(row, topic, response, minutes)
        if response == "read":
            self._resource(row, topic)
        if response == "answered":
            right = np.where(np.arange(3) == row[ANSWER], 0.85, 0.075)
            self.goal = self.goal * right / (self.goal @ right)
            self.confused *= 0.6
        if response in {"passed", "failed"}:
            right, wrong = row[CORRECT], 3 - row[CORRECT]
            known, guessed = 0.9**right * 0.1**wrong, 0.2**right * 0.8**wrong
            self._weigh(lambda k: known if k[topic] >= row[LEVEL] else guessed)
            if response == "failed":
                self._learn(topic, lambda _, k: 0.1 if k[topic] < row[LEVEL] else 0.0)
                self.confused += (1 - self.confused) * 0.35
        for other in {0, 1, 2} - {int(row[FOCUS])}:
            self._forget(other)

    def _suggestion(self, row: np.ndarray, topic: int, response: str, minutes: float) -> None:
        def kind(k: tuple) -> int:
            distance = row[LEVEL] - k[topic]
            return 0 if distance <= 0 else 1 if distance == 1 else 2

        skip = np.tensordot(
            np.outer([1 - self.confused, self.confused], [1 - self.goal[topic], self.goal[topic]]),
            model.skip_probabilities()[TYPICAL_ENGAGEMENT],
        )
        if response == "skipped":
            self._weigh(lambda k: skip[kind(k)])
            return
        likelihood = 1 - skip
        finished = np.array(model.COMPLETE)
        likelihood *= finished if response == "completed" else 1 - finished
        typical = np.log(12 * np.array([1.0, 1.0, 1.6]))
        likelihood *= norm.pdf(np.log(minutes), typical, 0.4)
        positive = np.array([0.0, model.POSITIVE_FEEDBACK[TYPICAL_ENGAGEMENT], 0.0])
        positive *= response == "completed"
        negative = np.array([0.0, 0.0, model.NEGATIVE_FEEDBACK[TYPICAL_ENGAGEMENT] / 2])
        likelihood *= [1 - positive - negative, negative, positive][
            {0: 0, -1: 1, 1: 2}[int(row[FEEDBACK])]
        ]
        self._weigh(lambda k: likelihood[kind(k)])
        if response == "stopped":
            hard = sum(w for (_, *k), w in self.weights.items() if kind(tuple(k)) == 2)
            self.confused += (1 - self.confused) * hard
        self._learn(topic, lambda pace, k: [0.0, (0.35, 0.6)[pace], 0.05][kind(k)])

    def _resource(self, row: np.ndarray, topic: int) -> None:
        thanks = model.POSITIVE_FEEDBACK[TYPICAL_ENGAGEMENT] / 2
        confused = 1.0 if row[FEEDBACK] > 0 else self.confused
        rates = [confused * rate + (1 - confused) * 0.1 for rate in (0.25, 0.4)]
        highest = min(row[MODULES + topic], self.top - 1)
        self._learn(topic, lambda pace, k: rates[pace] if k[topic] <= highest else 0.0)
        unthanked = 1 - self.confused * 0.7 * thanks
        self.confused = 0.0 if row[FEEDBACK] > 0 else self.confused * 0.3 / unthanked

    def _weigh(self, likelihood) -> None:
        weights = {key: w * likelihood(key[1:]) for key, w in self.weights.items()}
        total = sum(weights.values())
        self.weights = {key: w / total for key, w in weights.items()}

    def _move(self, topic: int, change: int, rate) -> None:
        moved = dict.fromkeys(self.weights, 0.0)
        for (pace, *known), weight in self.weights.items():
            share = rate(pace, tuple(known))
            target = list(known)
            target[topic] = min(self.top, max(0, target[topic] + change))
            moved[(pace, *known)] += (1 - share) * weight
            moved[(pace, *target)] += share * weight
        self.weights = moved

    def _learn(self, topic: int, rate) -> None:
        self._move(topic, 1, rate)

    def _forget(self, topic: int) -> None:
        self._move(topic, -1, lambda _pace, _known: model.FORGET)

    def means(self) -> list[float]:
        return [sum(w * key[1 + topic] for key, w in self.weights.items()) for topic in range(3)]

    def fast(self) -> float:
        return sum(w for key, w in self.weights.items() if key[0])


def expected_knowledge(belief: np.ndarray, n_levels: int) -> np.ndarray:
    """Return (3,) the exact posterior mean of knowledge, in levels."""
    shape = (model.N_TOPICS, 2, *[n_levels + 1] * model.N_TOPICS, N_ENGAGEMENTS, 2)
    joint = belief.reshape(shape)
    axes = range(joint.ndim)
    return np.array(
        [
            joint.sum(axis=tuple(a for a in axes if a != 2 + topic)) @ np.arange(n_levels + 1)
            for topic in range(model.N_TOPICS)
        ]
    )


@pytest.mark.parametrize("n_levels", [1, 2, 3])
def test_the_belief_is_what_bayes_rule_gives(n_levels: int):
    random, kinds = np.random.default_rng(n_levels), set()
    for seed in range(60):
        env = TutorEnv(modules_per_topic=n_levels)
        env.reset(seed=seed)
        brute_force = BruteForce(env.full_states(), n_levels)
        for _ in range(8):
            *_, terminated, _, _ = env.step(random.integers(model.N_ACTIONS))
            if terminated:
                break
            row, belief = env.full_states(), env.learners.belief[0]
            kinds.add((model.RESPONSES[row[RESPONSE]], int(row[FEEDBACK])))
            brute_force.step(row, env.learners.measured[0, MINUTES])
            means = [expected_level(belief, topic, n_levels) for topic in range(3)]
            assert means == pytest.approx(brute_force.means(), abs=1e-9)
            assert belief[BELIEF_PACE + 1] == pytest.approx(brute_force.fast(), abs=1e-9)
    assert len(kinds) >= 9  # every response, with and without feedback


def follow(policy, n: int, n_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return estimates and truths of all topics, in levels, along n episodes."""
    env = TutorVectorEnv(n)
    observations, _ = env.reset(seed=50)
    estimates, truths = [], []
    for _ in range(n_steps):
        actions, _ = policy.predict(observations)
        observations = env.step(actions)[0]
        beliefs = env.learners.belief
        estimates.append([[expected_level(b, topic, 2) for topic in range(3)] for b in beliefs])
        truths.append(env.full_states()[:, KNOWLEDGE : KNOWLEDGE + 3])
    return np.ravel(estimates), np.ravel(truths)


@pytest.mark.parametrize("policy", [Random(0), Mastery()], ids=["random", "mastery"])
def test_the_estimate_of_knowledge_is_calibrated(policy):
    """In every tenth of the estimates the mean of the truth is near them."""
    estimates, truths = follow(policy, 1500, 20)
    order = np.argsort(estimates)
    for part in np.array_split(order, 10):
        assert abs(estimates[part].mean() - truths[part].mean()) < 0.06
    assert abs(estimates.mean() - truths.mean()) < 0.03
    assert np.corrcoef(estimates, truths)[0, 1] > 0.6


@pytest.mark.slow
def test_the_exact_posterior_is_calibrated_too():
    """The QMDP's belief, over the whole hidden state, has no error but chance."""
    options = TutorOptions(modules_per_topic=1, horizon=12)
    n_states = 6480
    no_values = np.zeros((12, 6, n_states), dtype=np.float32)
    n, qmdp = 250, QMDP(options, no_values)
    env = TutorVectorEnv(n, **vars(options))
    observations, _ = env.reset(seed=0)
    started, policy = np.ones(n, dtype=bool), Random(1)
    estimates, truths = [], []
    for _ in range(8):
        qmdp.predict(observations, None, started)
        estimates += [expected_knowledge(belief, 1) for belief in qmdp.beliefs]
        truths += list(env.full_states()[:, KNOWLEDGE : KNOWLEDGE + 3])
        observations, _, terminated, truncated, _ = env.step(policy.predict(observations)[0])
        started = terminated | truncated
    estimates, truths = np.ravel(estimates), np.ravel(truths)
    for part in np.array_split(np.argsort(estimates), 6):
        noise = truths[part].std() / np.sqrt(n)  # steps of one learner are not independent
        assert abs(estimates[part].mean() - truths[part].mean()) < 4 * noise + 0.01

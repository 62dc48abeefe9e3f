"""What evaluations show about an environment is said once, in plain words."""

from typing import Any

import numpy as np
import pytest

from rl_runner.config import EnvConfig
from rl_runner.evaluation.play.episodes import Episodes
from rl_runner.training.observers.evaluation_notes import EvaluationNotes

N = 4


def episodes(starts: bytes = b"a", *, globally: bool = False, **extras: Any) -> Episodes:
    values = {name: np.full(N, value, dtype=float) for name, value in extras.items()}
    none = np.full(N, np.nan)
    length = np.full(N, 1000)
    return Episodes(
        np.arange(N),
        np.full(N, 20.0),
        length,
        none,
        values,
        starts=starts,
        is_globally_random=globally,
    )


def said_of(*shown: Episodes, final: Episodes | None = None, env: str = "CliffWalking-v1") -> str:
    said: list[str] = []
    notes = EvaluationNotes(EnvConfig(id=env, time_limit=1000), said.append)
    for each in shown:
        notes.look_at_periodic(each)
    if final is not None:
        notes.look_at_final(final)
    assert len(said) == len(set(said))
    return "\n".join(said)


def test_a_sound_environment_is_not_mentioned() -> None:
    assert not said_of(episodes(), episodes(), final=episodes(b"b", truncated=0.0))


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ([episodes(b"a"), episodes(b"b"), episodes(b"c")], "began differently"),
        ([episodes(globally=True), episodes(globally=True)], "global random generator"),
        ([episodes(raw_return=2.0)], "(mean 2, reported 20)"),
        ([episodes(raw_episode_ended=0.25)], "(75% of those played)"),
    ],
)
def test_what_is_unexpected_is_said_once(shown: list[Episodes], expected: str) -> None:
    assert expected in said_of(*shown)


@pytest.mark.parametrize(("env", "is_said"), [("CliffWalking-v1", True), ("CartPole-v1", False)])
def test_a_time_limit_of_ours_is_mentioned_where_it_cuts_episodes_off(
    env: str, is_said: bool
) -> None:
    said = said_of(final=episodes(truncated=1.0), env=env)
    assert ("cut off after 1,000 steps" in said) is is_said

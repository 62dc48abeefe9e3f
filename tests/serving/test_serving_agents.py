"""Every algorithm, served: what the service answers is what the agent predicts."""

from typing import Any

import numpy as np
import pytest

from rl_runner.agents.protocol import takes_action_masks
from rl_runner.agents.registry import ALGORITHMS
from rl_runner.errors import ConfigError
from rl_runner.evaluation.play.loaded_run import load_run
from rl_runner.serving.models.agents import as_batch

QUICK = {"ppo", "recurrent_ppo", "maskable_ppo", "q_learning", "sac"}


def as_json(observation: Any) -> Any:
    if isinstance(observation, dict):
        return {key: as_json(part) for key, part in observation.items()}
    return np.asarray(observation).tolist()


def check(served, run, n: int = 5) -> None:
    """Compare the answers in two interleaved sessions with the agent's own predictions."""
    agent = load_run(run).agent
    space, normalize = agent.get_env().observation_space, agent.get_vec_normalize_env()
    space.seed(5)
    memories: dict[str, Any] = {"a": None, "b": None}
    for i in range(2 * n):
        session = "ab"[i % 2]
        observation = space.sample()
        batch = as_batch(observation)
        batch = normalize.normalize_obs(batch) if normalize else batch
        begins = np.array([memories[session] is None])
        expected, memories[session] = agent.predict(
            batch, memories[session], begins, deterministic=True
        )
        answer = served.decide(session_id=session, context=as_json(observation))
        np.testing.assert_allclose(answer["action"], expected[0], rtol=0, atol=1e-6)
        assert answer["probability"] == 1.0


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in ALGORITHMS]
)
def test_the_service_answers_what_the_agent_predicts(trained, serve, name):
    run = trained(name, normalize=name in {"ppo", "sac"})
    served = serve(run, env=load_run(run).config.env.id)
    check(served, run)


def test_a_recurrent_session_continues_after_a_restart(trained, serve):
    run = trained("recurrent_ppo")
    served = serve(run, env="CartPole-v1")
    space = load_run(run).agent.get_env().observation_space
    space.seed(5)
    observations = [as_json(space.sample()) for _ in range(6)]
    whole = [served.decide(session_id="whole", context=o)["action"] for o in observations]
    first = [served.decide(session_id="split", context=o)["action"] for o in observations[:3]]
    served.close()
    again = serve(run, env="CartPole-v1")
    rest = [again.decide(session_id="split", context=o)["action"] for o in observations[3:]]
    assert first + rest == whole
    # The memory after a repeated request is that of one request.
    repeated = [
        again.decide(session_id="repeated", event_id=f"r{i // 2}", context=observations[i // 2])
        for i in range(12)
    ]
    assert [answer["action"] for answer in repeated[::2]] == whole


def test_masks_are_respected(trained, serve):
    run = trained("maskable_ppo")
    assert takes_action_masks(type(load_run(run).agent))
    served = serve(run, env="Taxi-v4")
    for action in range(6):
        assert (
            served.decide(session_id=f"s{action}", context=3, eligible=[action])["action"] == action
        )
    served.decide(context=3, eligible=[6], status=422)
    # Twice the same action would be drawn more often than its probability says.
    served.decide(context=3, eligible=[0, 0, 1], status=422)


def test_an_agent_can_explore(trained, serve):
    run = trained("q_learning")
    served = serve(run, env="CliffWalking-v1", exploration={"epsilon": 1.0})
    answers = [served.decide(session_id=f"s{i}", context=36) for i in range(40)]
    assert {answer["probability"] for answer in answers} == {0.25}
    assert len({answer["action"] for answer in answers}) > 1


@pytest.mark.parametrize(
    "context",
    [[0, 0, 0], [0, 0, 0, "a"], [1e9, 0, 0, 0], [[0], [0], [0], [0]], {}, None, "x", True],
)
def test_observations_that_do_not_fit_are_refused(trained, serve, context):
    served = serve(trained("a2c"), env="CartPole-v1")
    served.decide(context=context, status=422)
    body = b'{"user_id": "u", "session_id": "s", "context": [NaN, 0, 0, 0]}'
    assert served.http.post("/v1/decisions", content=body).status_code in {400, 422}


def test_a_run_of_another_environment_is_refused(trained, serve, tmp_path):
    run = trained("a2c")
    with pytest.raises(ConfigError, match="env: CartPole-v1"):
        serve(run, env="Pendulum-v1")
    assert not (tmp_path / "serve/test/models").exists()

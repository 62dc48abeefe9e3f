from rl_runner.config import config_from_dict
from rl_runner.tuning.trial_runs import config_with_values, resolve_start

POLE = {"env": {"id": "CartPole-v1"}, "algo": {"name": "ppo"}, "train": {"total_timesteps": 4096}}


def test_every_trial_gets_the_engine_that_can_do_its_values():
    start = resolve_start(config_from_dict(POLE))
    assert start.algo.engine == "auto"
    assert config_with_values(start, {}).algo.engine == "fast"
    assert config_with_values(start, {"policy_kwargs.activation_fn": "GELU"}).algo.engine == "stock"


def test_an_engine_that_was_asked_for_is_kept():
    algo = {"name": "ppo", "engine": "stock"}
    start = resolve_start(config_from_dict({**POLE, "algo": algo}))
    assert config_with_values(start, {"gamma": 0.9}).algo.engine == "stock"

from rl_runner.config import config_from_dict
from rl_runner.tuning.trial_runs import complete_start, with_values

POLE = {"env": {"id": "CartPole-v1"}, "algo": {"name": "ppo"}, "train": {"total_timesteps": 4096}}


def test_every_trial_gets_the_engine_that_can_do_its_values():
    start = complete_start(config_from_dict(POLE))
    assert start.algo.engine == "auto"
    assert with_values(start, {}).algo.engine == "fast"
    assert with_values(start, {"policy_kwargs.activation_fn": "GELU"}).algo.engine == "stock"


def test_an_engine_that_was_asked_for_is_kept():
    algo = {"name": "ppo", "engine": "stock"}
    start = complete_start(config_from_dict({**POLE, "algo": algo}))
    assert with_values(start, {"gamma": 0.9}).algo.engine == "stock"

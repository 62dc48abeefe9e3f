"""rl_runner: train, evaluate and compare Stable-Baselines3 agents over many seeds.

In a notebook::

    from rl_runner import load_config, train, evaluate, load_run

    result = train(load_config("configs/cartpole/ppo.yaml", ["train.seeds=2"]))
    print(result.summary)
    run = load_run(result.runs[0].path)
    print(evaluate(run, n_episodes=200).mean_reward)

torch and the other large packages are imported only when one of these names is used.
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rl_runner.config.load import config_from_dict, load_config
    from rl_runner.evaluation.play.loaded_run import Run, evaluate, load_run
    from rl_runner.training.experiment import ExperimentResult
    from rl_runner.training.reporting import Reporter
    from rl_runner.training.train import train
    from rl_runner.tuning.tune import tune

__version__ = "0.1.0"

_DEFINED_IN = {
    "ExperimentResult": "rl_runner.training.experiment",
    "Reporter": "rl_runner.training.reporting",
    "Run": "rl_runner.evaluation.play.loaded_run",
    "config_from_dict": "rl_runner.config.load",
    "evaluate": "rl_runner.evaluation.play.loaded_run",
    "load_config": "rl_runner.config.load",
    "load_run": "rl_runner.evaluation.play.loaded_run",
    "train": "rl_runner.training.train",
    "tune": "rl_runner.tuning.tune",
}

__all__ = [
    "ExperimentResult",
    "Reporter",
    "Run",
    "__version__",
    "config_from_dict",
    "evaluate",
    "load_config",
    "load_run",
    "train",
    "tune",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _DEFINED_IN:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(importlib.import_module(_DEFINED_IN[name]), name)


def __dir__() -> list[str]:
    """Include the public names that are not imported yet, so that notebooks complete them."""
    return sorted({*globals(), *__all__})


# `gym.make("rl_runner:BitFlipping-v0")` imports this module, and expects it to register the id.
if "gymnasium" in sys.modules:
    importlib.import_module("rl_runner.envs")

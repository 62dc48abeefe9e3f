"""One row per algorithm; its hyperparameters and supported spaces are found from its class.

An algorithm is a class with the methods of :class:`rl_runner.agents.protocol.Agent`; any SB3
algorithm has them. CONTRIBUTING.md lists everything that a new one needs.
"""

import importlib
from dataclasses import dataclass
from typing import Any

from rl_runner.config.schema import Engine
from rl_runner.errors import ConfigError, Problem, did_you_mean
from rl_runner.layout import SB3_MODEL
from rl_runner.startup import skip_torch_compiler


@dataclass(frozen=True)
class Algorithm:
    """Where an algorithm's class is, the file name of its weights, and its source.

    A handwritten agent names its own ``weights_file``, because its format is not SB3's: ``.npz``
    for :func:`rl_runner.arrays.save_arrays`, ``.pt`` for ``torch.save``.
    """

    name: str
    import_path: str  # "module:Class"
    reference: str
    weights_file: str = SB3_MODEL  # SB3's format, which stock SB3 loads
    fast_path: str = ""  # "module:Class" of its compiled twin, if it has one
    optimizer: bool = True  # whether its class uses one of torch's optimisers
    minus_infinity: bool = False  # whether its loss has a finite gradient at a reward of −inf

    def load_class(self) -> type[Any]:
        """Import the algorithm's class (this loads torch)."""
        return _load(self.import_path)

    def load_fast_class(self) -> type[Any]:
        """Import the class of its compiled twin, which it must have."""
        return _load(self.fast_path)

    def modules_to_share(self, engine: Engine) -> list[str]:
        """Return what to import before runs are forked, besides torch, so that no run imports it.

        Whatever steps one of torch's optimisers imports torch's compiler, over a second of work.
        """
        if self.fast_path and engine != "stock":
            return [self.fast_path.partition(":")[0], "rl_runner.agents.fast.warm_up"]
        return ["torch._dynamo"] if self.optimizer else []

    @property
    def package(self) -> str:
        """The package that implements it."""
        return self.import_path.partition(":")[0].partition(".")[0]


def _load(path: str) -> type[Any]:
    module, _, name = path.partition(":")
    loaded: type[Any] = getattr(importlib.import_module(module), name)
    skip_torch_compiler()
    return loaded


ALGORITHMS: dict[str, Algorithm] = {
    row.name: row
    for row in (
        Algorithm(
            "a2c",
            "stable_baselines3:A2C",
            "Mnih et al. 2016",
            fast_path="rl_runner.agents.fast.on_policy:FastA2C",
        ),
        Algorithm(
            "ars",
            "rl_runner.agents.algorithms.ars:AbsoluteARS",
            "Mania et al. 2018",
            optimizer=False,
        ),
        Algorithm("crossq", "sb3_contrib:CrossQ", "Bhatt et al. 2024"),
        Algorithm("ddpg", "stable_baselines3:DDPG", "Lillicrap et al. 2016"),
        Algorithm(
            "dqn",
            "stable_baselines3:DQN",
            "Mnih et al. 2015",
            fast_path="rl_runner.agents.fast.off_policy:FastDQN",
            minus_infinity=True,
        ),
        Algorithm(
            "geometric_dqn",
            "rl_runner.agents.algorithms.geometric_dqn:GeometricDQN",
            "Mnih et al. 2015",
            fast_path="rl_runner.agents.fast.off_policy:FastGeometricDQN",
            minus_infinity=True,
        ),
        Algorithm("maskable_ppo", "sb3_contrib:MaskablePPO", "Huang & Ontañón 2022"),
        Algorithm(
            "ppo",
            "stable_baselines3:PPO",
            "Schulman et al. 2017",
            fast_path="rl_runner.agents.fast.on_policy:FastPPO",
        ),
        Algorithm(
            "q_learning",
            "rl_runner.agents.algorithms.q_learning:QLearning",
            "Watkins & Dayan 1992",
            weights_file="q_table.npz",
            optimizer=False,
            fast_path="rl_runner.agents.fast.q_learning:FastQLearning",
        ),
        Algorithm(
            "qrdqn",
            "sb3_contrib:QRDQN",
            "Dabney et al. 2018",
            fast_path="rl_runner.agents.fast.off_policy:FastQRDQN",
        ),
        Algorithm("recurrent_ppo", "sb3_contrib:RecurrentPPO", "Hausknecht & Stone 2015"),
        Algorithm(
            "reinforce",
            "rl_runner.agents.algorithms.reinforce:Reinforce",
            "Williams 1992",
            weights_file="policy.pt",
            fast_path="rl_runner.agents.fast.reinforce:FastReinforce",
        ),
        Algorithm("sac", "stable_baselines3:SAC", "Haarnoja et al. 2018"),
        Algorithm("td3", "stable_baselines3:TD3", "Fujimoto et al. 2018"),
        Algorithm("tqc", "sb3_contrib:TQC", "Kuznetsov et al. 2020"),
        Algorithm("trpo", "sb3_contrib:TRPO", "Schulman et al. 2015"),
    )
}


def find_algorithm(name: str, where: str = "") -> Algorithm:
    """Return the algorithm with this name.

    :raises ConfigError: if there is none, with the most similar name
    """
    if name in ALGORITHMS:
        return ALGORITHMS[name]
    cure = did_you_mean(name.lower().replace("-", "_"), ALGORITHMS)
    listed = f"Algorithms: {', '.join(ALGORITHMS)}."
    raise ConfigError(
        Problem(f"There is no algorithm `{name}`.", where, f"{cure} {listed}".strip())
    )

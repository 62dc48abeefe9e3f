"""What the compiled twins of SB3's algorithms share: predicting, saving and loading."""

from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from rl_runner.agents.fast.features import Features, features_of
from rl_runner.agents.fast.prediction import FastPrediction


class CompiledTwin(BaseAlgorithm):
    """Base of the twins; in their list of bases it comes before SB3's class."""

    _networks: Any  # ActorCriticNetworks or ValueNetworks
    _features: Features
    _prediction: FastPrediction

    def _setup_model(self) -> None:
        super()._setup_model()  # type: ignore[safe-super]  # SB3's class comes after this one
        features = features_of(self.observation_space)
        assert features is not None  # noqa: S101 - checked in reasons.py
        self._features = features

    def _excluded_save_params(self) -> list[str]:
        own = ["_networks", "_features", "_prediction"]
        return [*super()._excluded_save_params(), *own]

    def set_parameters(self, *arguments: Any, **keywords: Any) -> None:
        """Load parameters and optimiser state, as stock SB3 does."""
        super().set_parameters(*arguments, **keywords)
        self._networks.bind()

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: np.ndarray | None = None,  # noqa: ARG002 - SB3's signature
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        """Return actions for one or a batch of observations."""
        return self._prediction(observation, deterministic=deterministic), state

from collections.abc import Callable
from typing import Any

import pytest
import torch

from rl_runner.agents.hyperparameters.constructor import check_hyperparameters
from rl_runner.agents.registry import ALGORITHMS
from rl_runner.config.yaml_text import SourceMap


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def check() -> Callable[..., dict[str, Any]]:
    def check_of(name: str, **written: Any) -> dict[str, Any]:
        return check_hyperparameters(ALGORITHMS[name], written, SourceMap())

    return check_of

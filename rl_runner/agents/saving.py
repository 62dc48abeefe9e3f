"""An agent's files: its weights, its counters and its environment's statistics, without pickle."""

from pathlib import Path
from typing import Any

from rl_runner.agents.parameters import check_finite_parameters, parameter_not_finite
from rl_runner.agents.protocol import Agent
from rl_runner.agents.state import load_numbers, save_numbers
from rl_runner.envs.normalization import load_statistics, save_statistics
from rl_runner.errors import CheckpointError, Problem
from rl_runner.layout import COUNTERS, NORMALIZATION

LOWER_THE_RATE = "Its training diverged: lower `learning_rate`, and train it again."
TRAIN_AGAIN = "Train it again with this version: `rl train … --fresh`."
RESTORE = "`rl train` with the run's config writes the file again, from the newest checkpoint."
REMOVE_AND_RESTORE = f"Remove the file: {RESTORE}"


def save_agent(agent: Agent, folder: Path, weights_file: str) -> None:
    """Write the agent's file and, if its environment normalises, the statistics beside it.

    :raises FloatingPointError: if its parameters are no longer finite. Every run saves its agent,
        so none finishes with such a one
    """
    check_finite_parameters(agent)
    agent.save(str(folder / weights_file))
    save_numbers(agent, folder)
    if (vec_normalize := agent.get_vec_normalize_env()) is not None:
        save_statistics(vec_normalize, folder / NORMALIZATION)


def load_agent(agent: Agent, folder: Path, weights_file: str) -> None:
    """Read what :func:`save_agent` wrote into an agent built from the same config.

    :raises CheckpointError: if a file is missing, damaged or of another config
    """
    # The parameters, which must be finite.
    load_parameters(agent, str(folder / weights_file))
    if (name := parameter_not_finite(agent)) is not None:
        what = f"The saved agent's parameters are not finite numbers: {name}."
        raise CheckpointError(Problem(what, str(folder), LOWER_THE_RATE))
    # The counters.
    try:
        load_numbers(agent, folder)
    except FileNotFoundError as error:
        what = f"{COUNTERS} is missing: it was removed, or an old version saved this agent."
        cure = f"{RESTORE} {TRAIN_AGAIN}"
        raise CheckpointError(Problem(what, str(folder), cure)) from error
    except (OSError, ValueError, AttributeError) as error:
        what = f"The agent's counters cannot be loaded: {error}"
        raise CheckpointError(Problem(what, str(folder), TRAIN_AGAIN)) from error
    # The normalisation statistics of the environment that the agent acts in.
    if (vec_normalize := agent.get_vec_normalize_env()) is not None:
        try:
            load_statistics(vec_normalize, folder / NORMALIZATION)
        except FileNotFoundError as error:
            what = "The normalisation statistics are missing."
            raise CheckpointError(Problem(what, str(folder / NORMALIZATION), RESTORE)) from error
        except (OSError, ValueError, KeyError) as error:
            what = f"The normalisation statistics cannot be loaded: {error}"
            where = str(folder / NORMALIZATION)
            raise CheckpointError(Problem(what, where, REMOVE_AND_RESTORE)) from error


def load_parameters(agent: Agent, path: str) -> None:
    """Load what :meth:`Agent.save` wrote into an agent of the same configuration.

    Nothing is unpickled: of an SB3 zip only the tensors are read (``weights_only=True``); the rest
    of it, which stock SB3 would unpickle, is ignored because the config has built the agent.

    :raises CheckpointError: if the file is missing, damaged or of another architecture
    """
    from rl_runner.agents.handwritten import HandwrittenAgent

    try:
        if isinstance(agent, HandwrittenAgent):
            agent.load_parameters(path)
        else:
            _load_sb3_parameters(agent, path)
    except Exception as error:  # a damaged file can trip any of the readers
        what = f"The saved agent cannot be loaded: {error}"
        cure = "Is it damaged, or of another config? `rl train … --fresh` trains it again."
        raise CheckpointError(Problem(what, path, cure)) from error


def _load_sb3_parameters(agent: Any, path: str) -> None:
    from stable_baselines3.common.save_util import (
        load_from_zip_file,
        recursive_setattr,
    )

    _, parameters, variables = load_from_zip_file(path, load_data=False, device=agent.device)
    agent.set_parameters(parameters, exact_match=True, device=agent.device)
    for name, tensor in (variables or {}).items():  # SAC's and TQC's learned log_ent_coef
        if tensor is not None:
            recursive_setattr(agent, f"{name}.data", tensor.data)
    if hasattr(agent, "weights"):  # ARS keeps a flat copy of its policy's weights
        from torch.nn.utils import parameters_to_vector

        agent.weights = parameters_to_vector(agent.policy.parameters()).detach()

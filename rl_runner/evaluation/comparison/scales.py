"""The scale of normalised returns: the random policy is 0, the best known return is 1.

Both ends are exact sums where the environment has a transition table. Elsewhere policies play
episodes: the random one and, for the upper end, the environment's own ``optimal`` or ``oracle``
policy. Without one the upper end is the environment's ``reward_threshold``.
"""

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rl_runner.config import EnvConfig
from rl_runner.envs.baselines import BaselineFactory, baselines_of, load_baseline, references_of
from rl_runner.errors import RunnerError
from rl_runner.layout import SCALES
from rl_runner.local_code import keeping_working_directory
from rl_runner.runs.disk import write_aside
from rl_runner.seeding import SeedTree

FORMAT = 3
STEPS = 100_000  # about as many steps, at most, are played to measure a policy
EPISODES = (100, 1000)  # within these numbers of episodes
N_ENVS = 10

BestIs = Literal["optimum", "oracle", "reward_threshold"]
UPPER_ENDS: Mapping[str, BestIs] = {"optimal": "optimum", "oracle": "oracle"}


@dataclass(frozen=True)
class Scale:
    """The mean returns of one environment that mean 0 and 1, and others in between."""

    random: float
    random_error: float  # the standard error of ``random``; 0 if it is exact
    random_episodes: int  # how many were played; 0 if it is exact
    best: float | None
    best_is: BestIs | None
    reward_threshold: float | None
    references: Mapping[str, float] = field(default_factory=dict)  # baselines in between, by name

    def normalized(self, mean_return: float) -> float | None:
        """Return 0 for the random policy's return and 1 for the best; None without a best."""
        if self.best is None or self.best == self.random:
            return None
        return (mean_return - self.random) / (self.best - self.random)


@keeping_working_directory()
def load_scale(config: EnvConfig, cache_dir: Path) -> Scale:
    """Return an environment's scale, measured once and cached in ``cache_dir``.

    The result is the same if the cache is deleted, damaged or cannot be written.

    :raises EnvError: as :func:`measure_scale` does
    """
    key, place = _key(config), cache_dir / SCALES
    kept = _read_cache(place)
    with contextlib.suppress(KeyError, TypeError):  # not in the cache, or of another version
        return Scale(**kept[key])
    # Measure it, and cache it if the folder can be written.
    scale = measure_scale(config)
    kept[key] = asdict(scale)
    text = json.dumps({"format": FORMAT, "scales": kept}, indent=1)
    with contextlib.suppress(RunnerError):  # e.g. a read-only folder
        write_aside(place, lambda path: path.write_text(text, encoding="utf-8"))
    return scale


def load_scale_or_reason(config: EnvConfig, cache_dir: Path) -> tuple[Scale | None, str]:
    """Return an environment's scale, or None and a sentence that says why there is none.

    The scale is an extra: results are compared without it if the environment cannot be built here,
    or if it cannot be played by the random policy or by a baseline of its own.
    """
    try:
        return load_scale(config, cache_dir), ""
    except RunnerError as error:
        return None, error.problems[0].what


def measure_scale(config: EnvConfig) -> Scale:
    """Measure an environment's scale; see :class:`Scale`.

    :raises EnvError: if the environment cannot be built, raises an exception while it is played, or
        gives a return that is not finite
    """
    from rl_runner.envs.specs import find_spec
    from rl_runner.evaluation.play.baselines import RandomPolicy
    from rl_runner.evaluation.play.exact_returns import transition_table

    # Exact, from the transition table
    threshold = find_spec(config).reward_threshold
    threshold = None if threshold is None else float(threshold)
    if (table := transition_table(config)) is not None:
        return Scale(table.random_return(), 0.0, 0, table.optimal_return(), "optimum", threshold)
    # Estimated, from episodes
    returns = _returns_of(RandomPolicy, config, "random")
    best, best_is = _upper_end(config, threshold)
    error = float(returns.std(ddof=1) / np.sqrt(len(returns)))
    references = {
        name: float(_returns_of(load_baseline(config.id, name), config, name).mean())
        for name in references_of(config.id)
    }
    mean = float(returns.mean())
    return Scale(mean, error, len(returns), best, best_is, threshold, references)


def _upper_end(
    config: EnvConfig, threshold: float | None
) -> tuple[float, BestIs] | tuple[None, None]:
    """Return the best known mean return of an environment without a transition table."""
    own = baselines_of(config.id)
    for name, meaning in UPPER_ENDS.items():
        if name in own:
            returns = _returns_of(load_baseline(config.id, name), config, name)
            return float(returns.mean()), meaning
    return (None, None) if threshold is None else (threshold, "reward_threshold")


def _returns_of(build_policy: BaselineFactory, config: EnvConfig, name: str) -> np.ndarray:
    """Play episodes with an untrained policy and return their returns, (n_episodes,)."""
    from rl_runner.envs import build_evaluation_env, time_limit_of
    from rl_runner.evaluation.play.baselines import BaselinePlayer, check_finite_returns
    from rl_runner.evaluation.play.episodes import play_episodes

    # Long episodes are played less often.
    n_episodes = int(np.clip(STEPS // time_limit_of(config)[0], *EPISODES))
    seeds = SeedTree(0)
    episode_seeds = seeds.reference(n_episodes)
    with contextlib.closing(build_evaluation_env(config.as_it_is, episode_seeds, N_ENVS)) as env:
        player = BaselinePlayer(build_policy(env, seeds.policy_sampling), env.action_space)
        episodes = play_episodes(player, env, episode_seeds, sampling_seed=seeds.policy_sampling)
    check_finite_returns(episodes, config.id, name)
    return episodes.returns


def _key(config: EnvConfig) -> str:
    """Return a key of all that the scale depends on: the environment, not an agent's view of it."""
    import gymnasium

    from rl_runner.envs.code import modules_of_env

    about = config.model_dump(include={"id", "kwargs", "wrappers", "time_limit"}, mode="json")
    about |= config.model_dump(include={"entry_point", "vec_wrappers"}, exclude_defaults=True)
    about |= {"gymnasium": gymnasium.__version__}
    if modules := modules_of_env(config):
        about |= {"code": modules}
    text = json.dumps(about, sort_keys=True)
    return f"{config.id} {hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _read_cache(place: Path) -> dict[str, Any]:
    try:
        contents = json.loads(place.read_text(encoding="utf-8"))
        if contents["format"] == FORMAT:
            scales: dict[str, Any] = dict(contents["scales"])
            return scales
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # a missing or damaged cache is built again
    return {}

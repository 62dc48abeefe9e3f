"""The ``env`` section: one environment, its wrappers, and how many copies of it there are."""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from rl_runner.config.section import Section, Timesteps, text_like

DOTTED_NAME = r"[A-Za-z_][\w.]*[.:][A-Za-z_]\w*"


class NamedClass(Section):
    """A class, given by its dotted name, and the arguments of its constructor."""

    name: Annotated[str, text_like(DOTTED_NAME, "a dotted name, e.g. package.module.Class")]
    kwargs: dict[str, Any] = Field(default_factory=dict)


class WrapperConfig(NamedClass):
    """A wrapper, given by its dotted name, ``gymnasium.wrappers.FlattenObservation``."""

    name: Annotated[
        str,
        text_like(DOTTED_NAME, "a dotted name, e.g. gymnasium.wrappers.FlattenObservation"),
    ]


class NormalizeConfig(Section):
    """Running normalisation of the training environments (SB3's ``VecNormalize``).

    Evaluation uses the observation statistics frozen and never normalises rewards.
    """

    observations: bool = False
    rewards: bool = False
    clip_observations: Annotated[float, Field(gt=0)] = 10.0
    clip_rewards: Annotated[float, Field(gt=0)] = 10.0

    @property
    def active(self) -> bool:
        """Whether anything is normalised at all."""
        return self.observations or self.rewards


def class_from_name(value: object) -> object:
    """Return the mapping that a dotted name alone stands for; any other value unchanged."""
    return {"name": value} if isinstance(value, str) else value


Wrappers = Annotated[
    tuple[Annotated[WrapperConfig, BeforeValidator(class_from_name)], ...],
    Field(strict=False),
]


def _normalize_from_bool(value: object) -> object:
    return {"observations": value, "rewards": value} if isinstance(value, bool) else value


def _check_bounds(bounds: tuple[float, float] | None) -> tuple[float, float] | None:
    if bounds is not None and not -math.inf < bounds[0] < bounds[1] < math.inf:
        message = "give the lowest and the highest possible return of an episode, [low, high]"
        raise ValueError(message)
    return bounds


RESERVED_ENV_KWARGS = {
    "max_episode_steps": "use `env.time_limit`",
    "render_mode": "the commands that draw choose it",
    "disable_env_checker": "`rl check` runs Gymnasium's checker",
    "vectorization_mode": "use `env.n_envs` and `env.vec`",
    "id": "use `env.id`",
}


class EnvConfig(Section):
    """One environment, and how many copies of it are stepped together.

    ``entry_point`` names a class, or a function that returns an environment, which need not be
    registered: ``my_env:MyEnv``. ``id`` is then only what the environment is called.

    ``wrappers`` are of Gymnasium and wrap each copy. ``vec_wrappers`` are of stable-baselines3 and
    wrap all copies together.

    ``return_bounds`` are the lowest and the highest possible return of an episode. They change what
    can be concluded from the results, not the results.

    ``max_copies`` is how many copies a run may have open at a time, evaluations included. Where it
    leaves none for evaluations they borrow the training's, which are then brought back to where
    they were. The results are the same.
    """

    id: Annotated[str, Field(min_length=1)]
    entry_point: (
        Annotated[
            str,
            text_like(
                r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", "a module and a class in it, e.g. my_env:MyEnv"
            ),
        ]
        | None
    ) = None
    kwargs: dict[str, Any] = Field(default_factory=dict)
    wrappers: Wrappers = ()
    vec_wrappers: Wrappers = ()
    time_limit: Timesteps | None = None
    return_bounds: Annotated[
        tuple[float, float] | None, Field(strict=False), AfterValidator(_check_bounds)
    ] = None
    normalize: Annotated[NormalizeConfig, BeforeValidator(_normalize_from_bool)] = NormalizeConfig()
    frame_stack: Annotated[int, Field(ge=1, le=1000)] = 1
    n_envs: Annotated[int, Field(ge=1, le=4096)] = 1
    vec: Literal["auto", "dummy", "subproc", "batched"] = "auto"
    max_copies: Annotated[int, Field(ge=1, le=4096)] | None = None

    @property
    def in_this_process(self) -> Self:
        """The same, stepped in this process, for short checks."""
        return self if self.vec == "batched" else self.model_copy(update={"vec": "dummy"})

    @property
    def as_it_is(self) -> Self:
        """The same without normalisation and frame stacking, which change the agent's view only."""
        return self.model_copy(update={"normalize": NormalizeConfig(), "frame_stack": 1})

    @property
    def shares_copies(self) -> bool:
        """Whether evaluations have to borrow the copies of training."""
        return self.max_copies == self.n_envs

    @model_validator(mode="before")
    @classmethod
    def _called_like_its_class(cls, raw: Any) -> Any:
        match raw:
            case {"entry_point": str(entry_point)} if "id" not in raw:
                return {"id": entry_point.rpartition(":")[2], **raw}
        return raw

    @model_validator(mode="after")
    def _enough_copies(self) -> Self:
        if self.max_copies is not None and self.max_copies < self.n_envs:
            message = f"`max_copies: {self.max_copies}` is less than `n_envs: {self.n_envs}`"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _no_reserved_kwargs(self) -> Self:
        for key, cure in RESERVED_ENV_KWARGS.items():
            if key in self.kwargs:
                message = f"`{key}` cannot be given in `env.kwargs`: {cure}"
                raise ValueError(message)
        return self

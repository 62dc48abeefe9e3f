"""The YAML file of a service."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from rl_runner.config.data import Duration, parse_duration
from rl_runner.config.section import Section, text_like, validate_section
from rl_runner.config.yaml_text import SourceMap, parse_yaml
from rl_runner.errors import ConfigError, Problem
from rl_runner.offline.domains import find_domain
from rl_runner.offline.store.database import StoreUrl, is_store_url

SERVICES = Path("serve")  # where services keep their files, below the current folder

Name = Annotated[str, text_like(r"[a-z0-9][a-z0-9_\-]{0,63}", "lower-case letters, digits, - or _")]


class ExplorationConfig(Section):
    """How a service explores.

    ``epsilon`` is the share of decisions drawn uniformly from the eligible actions. With 0 every
    decision is greedy and its probability 1, so that the log says nothing about other actions.
    """

    epsilon: Annotated[float, Field(ge=0, le=1)] | None = None  # default: 0.05, or 0 (continuous)


class ServeConfig(Section):
    """One service: what it decides about, with which policy, and where it keeps its records."""

    name: Name
    domain: str | None = None  # what contexts, actions and outcomes are …
    env: str | None = None  # … or the environment whose observations are answered
    champion: Annotated[str, Field(min_length=1)]  # a run's folder, or a registered version
    storage: str | None = None  # the URL of a database; default: SQLite below serve/NAME
    exploration: ExplorationConfig = Field(default_factory=ExplorationConfig)
    training: Annotated[str, Field(min_length=1)] | None = None  # an experiment, for the trigger
    wait: Duration = "1h"  # until a decision without outcomes gets the default outcome
    keys: Annotated[str, Field(min_length=1)] | None = None  # file; default: serve/NAME/keys.json
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    max_rate: Annotated[float, Field(gt=0)] | None = None  # requests per second of a key
    max_body: Annotated[int, Field(ge=1_000, le=10**9)] = 1_000_000  # bytes of a request

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.domain is None) == (self.env is None):
            message = "name either a `domain` or an `env`"
            raise ValueError(message)
        if self.storage is not None and not is_store_url(self.storage):
            message = "`storage` is a URL such as sqlite:///serve/name/service.db"
            raise ValueError(message)
        return self

    @property
    def folder(self) -> Path:
        """Where the service keeps its versions, keys and SQLite store."""
        return SERVICES / self.name

    @property
    def store(self) -> StoreUrl:
        """Its database."""
        return StoreUrl(self.storage or f"sqlite:///{self.folder / 'service.db'}")

    @property
    def keys_file(self) -> Path:
        """Where the hashes of its API keys are."""
        return Path(self.keys) if self.keys else self.folder / "keys.json"

    @property
    def wait_seconds(self) -> float:
        """How long outcomes are waited for."""
        return parse_duration(self.wait).total_seconds()


def load_serve_config(path: Path) -> ServeConfig:
    """Load the YAML file of a service.

    :raises ConfigError: with file, line, key and what to do
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(Problem(f"The file cannot be read: {reason}.", str(path))) from None
    raw, source = parse_yaml(text, str(path))
    if not isinstance(raw, dict):
        cure = "The config of a service is a mapping with `name`, `domain` or `env`, `champion`."
        raise ConfigError(Problem("The file does not contain a mapping.", str(path), cure))
    config = validate_section(ServeConfig, raw, source)
    _check_domain(config, source)
    return config


def _check_domain(config: ServeConfig, source: SourceMap) -> None:
    if config.domain is not None:
        find_domain(config.domain, source.locate(("domain",)))
    config.store.parsed()

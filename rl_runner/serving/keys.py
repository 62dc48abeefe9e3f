"""API keys: made here, stored as hashes, each with the scopes that it opens.

A key is 32 random bytes, so that a plain SHA-256 of it cannot be reversed by guessing.
"""

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from rl_runner.errors import ConfigError, Problem, RunFolderError
from rl_runner.runs.disk import write_aside, writing

Scope = Literal["decide", "report", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

# A key that was once printed in a manual, and that everybody therefore knows.
_PUBLISHED = hashlib.sha256(b"admin-dev-key-change-in-production").hexdigest()
_PREFIX = "rlk_"


class ApiKey(BaseModel):
    """What is stored of a key."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    name: str
    scopes: tuple[Scope, ...]
    sha256: str
    created: str


class _KeyFile(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    keys: list[ApiKey]


@dataclass(frozen=True)
class Keys:
    """The keys of a service."""

    keys: tuple[ApiKey, ...] = ()

    def find(self, token: str) -> ApiKey | None:
        """Return the key of a token; None for an unknown one, in the same time."""
        digest = hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
        found = None
        for key in self.keys:
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found


def load_keys(path: Path) -> Keys:
    """Read the keys of a service; none if there is no file.

    :raises ConfigError: if the file is damaged, or holds a key that everybody knows
    """
    keys = _read(path)
    for key in keys:
        if key.sha256 == _PUBLISHED:
            what = f"The key `{key.name}` is the published development key, which everybody knows."
            cure = f"Remove it: `rl serve keys CONFIG --remove {key.name}`."
            raise ConfigError(Problem(what, str(path), cure))
    return Keys(keys)


def _read(path: Path) -> tuple[ApiKey, ...]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise RunFolderError(Problem(f"Not readable: {error.strerror}.", str(path))) from None
    try:
        return tuple(_KeyFile.model_validate_json(text).keys)
    except ValidationError:
        cure = "Remove the file, and make new keys: `rl serve keys CONFIG --add NAME`."
        raise ConfigError(
            Problem("The file of the API keys is damaged.", str(path), cure)
        ) from None


def add_key(path: Path, name: str, scopes: Sequence[Scope]) -> str:
    """Make a key and return its token, which is shown once and stored nowhere.

    :raises ConfigError: if there is a key of this name
    """
    keys = load_keys(path).keys
    if any(key.name == name for key in keys):
        cure = f"Choose another name, or remove it: `rl serve keys CONFIG --remove {name}`."
        raise ConfigError(Problem(f"There is a key `{name}` already.", str(path), cure))
    token = _PREFIX + secrets.token_urlsafe(32)
    digest = hashlib.sha256(token.encode()).hexdigest()
    created = datetime.now(UTC).isoformat(timespec="seconds")
    key = ApiKey(name=name, scopes=tuple(scopes), sha256=digest, created=created)
    _write(path, (*keys, key))
    return token


def remove_key(path: Path, name: str) -> None:
    """Remove a key; a running server accepts it until it is restarted.

    :raises ConfigError: if there is no key of this name
    """
    keys = _read(path)
    kept = tuple(key for key in keys if key.name != name)
    if len(kept) == len(keys):
        names = ", ".join(key.name for key in keys) or "none"
        raise ConfigError(Problem(f"There is no key `{name}`; keys: {names}.", str(path)))
    _write(path, kept)


def _write(path: Path, keys: tuple[ApiKey, ...]) -> None:
    text = json.dumps({"keys": [key.model_dump() for key in keys]}, indent=2) + "\n"

    def write(aside: Path) -> None:
        aside.touch(mode=0o600)
        os.chmod(aside, 0o600)  # noqa: PTH101 - also if an earlier attempt left the file
        aside.write_text(text, encoding="utf-8")

    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_aside(path, write)

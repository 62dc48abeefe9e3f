"""The `data` section: learning from a log of interactions instead of from an environment."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field

from rl_runner.config.section import Section

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])\Z")
_MACHINE_ZONES = ("localtime", "posixrules", "Factory")  # files of the zone database, not zones
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_duration(text: str) -> timedelta:
    """Return ``7d``, ``12h``, ``90m``, ``30s`` or ``2w`` as a time span.

    :raises ValueError: if the text is not a duration, or is 0 or longer than a century
    """
    found = _DURATION.match(text.strip())
    span = timedelta(**{_UNITS[found[2]]: float(found[1])}) if found else timedelta(0)
    if not timedelta(0) < span <= timedelta(days=36_525):
        message = f"`{text}` is not a duration; write 7d, 12h, 90m, 30s or 2w"
        raise ValueError(message)
    return span


def parse_moment(text: str) -> datetime:
    """Return an ISO 8601 time with a zone, in UTC.

    :raises ValueError: if the text is not a time, or has no time zone
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        message = f"`{text}` is not a time; write 2025-06-30T00:00:00Z"
        raise ValueError(message) from None
    if moment.tzinfo is None:
        message = f"`{text}` has no time zone; write {moment.isoformat()}Z for UTC"
        raise ValueError(message)
    return moment.astimezone(UTC)


def _checked_duration(text: str) -> str:
    parse_duration(text)
    return text


def _checked_moment(text: str) -> str:
    parse_moment(text)
    return text


def checked_zone(name: str) -> str:
    """Return the name if it is that of a time zone.

    :raises ValueError: if there is no time zone with this name
    """
    try:
        if name in _MACHINE_ZONES or name.startswith(("posix/", "right/")):
            raise ZoneInfoNotFoundError(name)  # noqa: TRY301 - the same message for all names
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = f"`{name}` is not a time zone; write UTC or Europe/Berlin"
        raise ValueError(message) from None
    return name


def _paths_from_one(value: object) -> object:
    return (
        (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value
    )


Duration = Annotated[str, AfterValidator(_checked_duration)]
Moment = Annotated[str, AfterValidator(_checked_moment)]
Zone = Annotated[str, AfterValidator(checked_zone)]


class DataConfig(Section):
    """The logs to learn from, and which parts of them to use.

    The last ``holdout`` before ``until`` is held out for the evaluation; the ``window`` before it
    is trained on. The two never overlap. Users with fewer than ``min_interactions_per_user`` in the
    window are left out of training.
    """

    path: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...],
        BeforeValidator(_paths_from_one),
        Field(min_length=1),
    ]  # files or globs
    window: Duration = "7d"
    holdout: Duration | None = "3d"
    min_interactions_per_user: Annotated[int, Field(ge=1, le=10**6)] = 5
    until: Moment | None = None  # default: the time of the log's last event
    timezone: Zone | None = None  # of timestamps without one; None refuses them
    # Which instant a local time means that occurs twice, as clocks go back; None refuses it.
    ambiguous_times: Literal["earliest", "latest"] | None = None
    continue_from: Annotated[str, Field(min_length=1)] | None = None  # an earlier run on logs
    rewards: dict[str, float] = Field(default_factory=dict)  # other weights of the seven terms
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")] | None = None  # of the events


def budget_from_log(raw: Any) -> Any:
    """Complete the ``train`` section of an experiment that learns from a log.

    Its ``total_timesteps`` are interactions: at most the newest so many are learned from. By
    default that is all of them, and one seed, since learning from a log is not random.
    """
    if not isinstance(raw, dict) or raw.get("data") is None:
        return raw
    train = raw.get("train")
    if train is None or isinstance(train, dict):
        return {**raw, "train": {"total_timesteps": 10**12, "seeds": [0], **(train or {})}}
    return raw

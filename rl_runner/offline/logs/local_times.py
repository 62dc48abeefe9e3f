"""Times as files write them: with a zone, or local times of a zone that is named elsewhere."""

from typing import Literal

import polars as pl

from rl_runner.errors import ConfigError, Problem
from rl_runner.offline.logs.log_schema import TIME

AmbiguousTimes = Literal["earliest", "latest"]
EpochUnit = Literal["s", "ms", "us", "ns"]

TIME_FORMAT = "%Y-%m-%dT%H:%M:%S%.6fZ"
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_LATEST_SECOND = 2.5e11  # in the year 9892
# As spreadsheets (1.75004E+12) and C's `%e` write long numbers: the last digits are lost.
_ROUNDED = r"^\d(\.\d{1,6})?[eE]\+?\d+$"

NAIVE = r"^\s*\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?\s*$"
NAIVE_FORMATS = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M")
SHORT_ZONE = r"(:\d\d(?:\.\d+)?[+-]\d\d)$"  # such as +02, which means +02:00


def as_time(
    column: pl.Expr, given: pl.DataType, timezone: str | None, ambiguous: AmbiguousTimes | None
) -> pl.Expr:
    """Return times in UTC; null where the text is not a time, or a local time names no instant.

    :param timezone: what times without a zone mean; None makes them null
    :param ambiguous: which instant is meant by a time that occurs twice, when clocks go back; None
        makes it null
    """
    if isinstance(given, pl.Datetime):
        if given.time_zone is None:
            return _localised(column, timezone, ambiguous)
        return column.dt.convert_time_zone("UTC").cast(TIME)
    if given == pl.String:
        text = column.str.strip_chars().str.replace(" ", "T").str.replace(SHORT_ZONE, "${1}:00")
        zoned = text.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)
        naive = pl.coalesce(
            text.str.to_datetime(form, time_unit="us", strict=False) for form in NAIVE_FORMATS
        )
        return pl.coalesce(zoned, _localised(naive, timezone, ambiguous))
    return pl.lit(None, TIME)


def why_not_a_time(column: pl.Expr, given: pl.DataType, timezone: str | None) -> pl.Expr:
    """Return the reason why :func:`as_time` made a value null."""
    text = column.cast(pl.String, strict=False)
    shown = text.fill_null("?")
    reason = pl.format("ts is not a time with a zone: {}", shown)
    is_naive = text.str.contains(NAIVE).fill_null(value=False)
    if timezone is None:
        without = pl.format("timestamp {} has no time zone", shown)
    else:
        twice = pl.format(
            "timestamp {} occurs twice in {}, as clocks go back; choose with `ambiguous_times`",
            shown,
            pl.lit(timezone),
        )
        never = pl.format("timestamp {} does not exist in {}", shown, pl.lit(timezone))
        occurs = as_time(column, given, timezone, "earliest").is_not_null()
        without = pl.when(occurs).then(twice).otherwise(never)
    return pl.when(is_naive).then(without).otherwise(reason)


def epoch_as_text(column: pl.Expr, given: pl.DataType, unit: EpochUnit) -> pl.Expr:
    """Return times since 1970 as text with a zone; what is not such a number stays as it is.

    So does a number that was rounded to a few digits.
    """
    if isinstance(given, pl.Datetime):
        return column
    text = column.cast(pl.String).str.strip_chars()
    number = text.cast(pl.Float64, strict=False)
    if given == pl.String:
        number = pl.when(~text.str.contains(_ROUNDED)).then(number)
    possible = (number >= 0) & (number < _LATEST_SECOND * _PER_SECOND[unit])
    # Whole numbers exactly, others (seconds with a fraction) to the microsecond.
    whole = pl.when(possible).then(text).cast(pl.Int64, strict=False)
    factor = _PER_SECOND["us"] / _PER_SECOND[unit]
    exact = whole * int(factor) if factor >= 1 else whole // int(1 / factor)
    rounded = pl.when(possible).then(number * factor).round().cast(pl.Int64, strict=False)
    instant = pl.coalesce(exact, rounded).cast(TIME)
    return pl.coalesce(instant.dt.strftime(TIME_FORMAT), text)


def check_zone(timezone: str | None, where: str) -> None:
    """Raise ConfigError if times cannot be converted from this zone.

    Python accepts names that depend on the machine, such as `localtime`; polars does not.
    """
    if timezone is None:
        return
    try:
        pl.Series([], dtype=pl.Datetime("us")).dt.replace_time_zone(timezone)
    except pl.exceptions.PolarsError:
        what = f"Times cannot be converted from the zone `{timezone}`."
        cure = "Write the zone's name in the IANA database, such as Europe/Berlin or UTC."
        raise ConfigError(Problem(what, where, cure)) from None


def _localised(naive: pl.Expr, timezone: str | None, ambiguous: AmbiguousTimes | None) -> pl.Expr:
    if timezone is None:
        return pl.lit(None, TIME)
    zoned = naive.cast(pl.Datetime("us")).dt.replace_time_zone(
        timezone, ambiguous=ambiguous or "null", non_existent="null"
    )
    return zoned.dt.convert_time_zone("UTC")

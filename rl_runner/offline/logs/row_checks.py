"""Checks of single rows of a log: types, ranges, missing values.

Checks across rows (duplicate events, sessions that run backwards) are in
:mod:`rl_runner.offline.logs.interactions`.
"""

from datetime import UTC, datetime

import polars as pl

from rl_runner.offline.logs.column_types import (
    ABSENT,
    IDENTITIES,
    NOT_A_NAME,
    typed,
    with_plain_types,
)
from rl_runner.offline.logs.local_times import AmbiguousTimes, why_not_a_time
from rl_runner.offline.logs.log_schema import COLUMNS, RANGES, SCHEMA_VERSION, WORDS

LINE = "line"  # the column with the position of a row in its file, from 1
REASON = "reason"
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)  # earlier times come from a wrong unit


def split_good_and_bad(
    raw: pl.DataFrame,
    now: datetime,
    timezone: str | None,
    ambiguous: AmbiguousTimes | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows that follow the schema, and the line and reason of those that do not.

    :param raw: all columns of the schema, of any type, and :data:`LINE`
    :param now: later timestamps are refused as in the future
    :param timezone: what timestamps without a zone mean; None refuses them
    :param ambiguous: what a local time means that occurs twice; None refuses it
    """
    # Convert every column to its type; a row is bad if a check finds something in any of them.
    # In one piece: Polars (2.1) cannot format the rows of a column whose first piece is empty, as
    # that of the refused rows may be.
    raw = with_plain_types(raw).rechunk()
    frame = raw.select(LINE, *(typed(raw, name, timezone, ambiguous) for name in COLUMNS))
    findings = _findings(raw.schema, now, timezone)
    is_bad = pl.any_horizontal([broken for broken, _ in findings])
    bad = frame.select(is_bad.fill_null(value=True)).to_series()
    if not bad.any():
        return frame, _no_refusals()
    # The first finding is the reason. It quotes the value as written, since "mood is 'hungry'" says
    # more than "mood is missing", which is what remains after the conversion.
    reasons = pl.coalesce(
        [pl.when(broken).then(reason).otherwise(None) for broken, reason in findings]
    )
    written = raw.filter(bad).select(pl.all().exclude(LINE).name.prefix("raw:"))
    refused = pl.concat([frame.filter(bad), written], how="horizontal")
    return frame.filter(~bad), refused.select(LINE, reasons.alias(REASON))


def _no_refusals() -> pl.DataFrame:
    return pl.DataFrame(schema={LINE: pl.Int64(), REASON: pl.String()})


def _findings(
    given: pl.Schema, now: datetime, timezone: str | None
) -> list[tuple[pl.Expr, pl.Expr]]:
    """Return pairs of a check and its reason; for a row with several, the first reason counts."""
    # A version that this reader does not know.
    version = pl.col("schema_version")
    findings = [
        (
            version.is_not_null() & (version != SCHEMA_VERSION),
            pl.format(f"schema version {{}}; this reader knows {SCHEMA_VERSION}", version),
        )
    ]
    # Values that are missing or cannot be read.
    findings += [
        (pl.col(name).is_null(), _unreadable(name, given[name], timezone)) for name in COLUMNS
    ]
    # Numbers outside their ranges.
    for name, (low, high) in RANGES.items():
        column = pl.col(name)
        outside = ~column.is_between(low, high) | column.cast(pl.Float64).is_nan()
        findings.append((outside, pl.format(f"{name} {{}} is not {low:g} … {high:g}", column)))
    # Values that contradict each other or what they mean.
    pscore = pl.col("pscore")
    findings += [
        (~((pscore > 0) & (pscore <= 1)), pl.format("pscore {} is not in (0, 1]", pscore)),
        *((pl.col(name) == "", pl.lit(f"{name} is empty")) for name in IDENTITIES),
        *(finding for name in IDENTITIES for finding in _not_a_name(name)),
        (pl.col("step") < 0, pl.format("step {} is below 0", pl.col("step"))),
        (pl.col("like") & pl.col("dislike"), pl.lit("liked and disliked at once")),
        (pl.col("complete") & pl.col("skip"), pl.lit("completed and skipped at once")),
        (pl.col("ts") > now, pl.format("timestamp {} is in the future", pl.col("ts"))),
        (pl.col("ts") < EARLIEST, pl.format("timestamp {} is before 1990", pl.col("ts"))),
    ]
    return findings


def _not_a_name(name: str) -> list[tuple[pl.Expr, pl.Expr]]:
    """Return checks that an identity is not the text of an absent value or of another type."""
    column = pl.col(name)
    is_json = column.str.starts_with('{"') | column.str.starts_with("[")
    return [
        (column.is_in(ABSENT), pl.format(f"{name} is missing (written as {{}})", column)),
        (column.is_in(NOT_A_NAME) | is_json, pl.format(f"{name} is not a name: {{}}", column)),
    ]


def _unreadable(name: str, given: pl.DataType, timezone: str | None) -> pl.Expr:
    """Return why a column is null: it is missing, or its value does not fit its type."""
    raw = pl.col(f"raw:{name}")
    text = raw.cast(pl.String, strict=False).fill_null("?")
    is_missing = raw.is_null()
    reason = pl.format(f"{name} is not {_kind(name)}: {{}}", text)
    if name == "ts":
        reason = why_not_a_time(raw, given, timezone)
    if name in WORDS:
        reason = pl.format(f"unknown {name} {{}}", text)
    if name in IDENTITIES and given.is_float():
        is_missing |= raw.is_nan()
    return pl.when(is_missing).then(pl.lit(f"{name} is missing")).otherwise(reason)


def _kind(name: str) -> str:
    wanted = COLUMNS[name]
    if name in IDENTITIES:
        return "a text or whole number with all its digits"
    if isinstance(wanted, pl.Boolean):
        return "true or false"
    return "a whole number" if wanted.is_integer() else "a number" if wanted.is_float() else "text"

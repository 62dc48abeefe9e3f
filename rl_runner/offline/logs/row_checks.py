"""Checks of single rows of a log: types, ranges, missing values.

Checks across rows (duplicate events, sessions that run backwards) are in
:mod:`rl_runner.offline.logs.interactions`.
"""

from datetime import datetime

import polars as pl

from rl_runner.offline.logs.log_schema import COLUMNS, RANGES, SCHEMA_VERSION, TIME, WORDS

IDENTITIES = ("event_id", "user_id", "session_id")
LINE = "line"  # the column with the position of a row in its file, from 1
REASON = "reason"

NAIVE = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?$"
NAIVE_FORMATS = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M")
SHORT_ZONE = r"(:\d\d(?:\.\d+)?[+-]\d\d)$"  # such as +02, which means +02:00


def split_good_and_bad(
    raw: pl.DataFrame, now: datetime, timezone: str | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows that follow the schema, and the line and reason of those that do not.

    :param raw: all columns of the schema, of any type, and :data:`LINE`
    :param now: later timestamps are refused as in the future
    :param timezone: what timestamps without a zone mean; None refuses them
    """
    # Convert every column to its type; a row is bad if a check finds something in any of them.
    frame = raw.select(LINE, *(_typed(raw, name, timezone) for name in COLUMNS))
    findings = _findings(now, timezone)
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


def _typed(raw: pl.DataFrame, name: str, timezone: str | None) -> pl.Expr:
    """Return a column in the schema's type; values that cannot be converted become null."""
    given, wanted = raw.schema[name], COLUMNS[name]
    column = pl.col(name)
    if name == "ts":
        return _time(given, timezone)
    if given == wanted:
        return column
    # Flags: 0 and 1, or words for true and false.
    if isinstance(wanted, pl.Boolean) and given.is_numeric():
        whole = pl.when(column == 1).then(statement=True).when(column == 0).then(statement=False)
        return whole.otherwise(None).alias(name)
    if isinstance(wanted, pl.Boolean) and given == pl.String:
        truth = column.str.to_lowercase()
        return truth.replace_strict(
            ["true", "1", "false", "0"], [True, True, False, False], default=None
        ).alias(name)
    # Whole numbers, also written as decimals; words.
    if wanted.is_integer() and given == pl.String:  # "3.0" is 3, as the number 3.0 is
        column, given = column.cast(pl.Float64, strict=False), pl.Float64()
    if wanted.is_integer() and given.is_float():
        return pl.when(column == column.round()).then(column).cast(wanted, strict=False).alias(name)
    if name in WORDS and given != pl.String:
        column = column.cast(pl.String, strict=False)
    return column.cast(wanted, strict=False).alias(name)


def _time(given: pl.DataType, timezone: str | None) -> pl.Expr:
    column = pl.col("ts")
    if isinstance(given, pl.Datetime):
        if given.time_zone is None:
            return _localised(column, timezone)
        return column.dt.convert_time_zone("UTC").cast(TIME)
    if given == pl.String:
        text = column.str.strip_chars().str.replace(" ", "T").str.replace(SHORT_ZONE, "${1}:00")
        zoned = text.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)
        naive = pl.coalesce(
            text.str.to_datetime(form, time_unit="us", strict=False) for form in NAIVE_FORMATS
        )
        return pl.coalesce(zoned, _localised(naive, timezone)).alias("ts")
    return pl.lit(None, TIME).alias("ts")


def _localised(naive: pl.Expr, timezone: str | None) -> pl.Expr:
    if timezone is None:
        return pl.lit(None, TIME).alias("ts")
    zoned = naive.cast(pl.Datetime("us")).dt.replace_time_zone(
        timezone, ambiguous="earliest", non_existent="null"
    )
    return zoned.dt.convert_time_zone("UTC")


def _findings(now: datetime, timezone: str | None) -> list[tuple[pl.Expr, pl.Expr]]:
    """Return pairs of a check and its reason; for a row with several, the first reason counts."""
    version = pl.col("schema_version")
    findings = [
        (
            version.is_not_null() & (version != SCHEMA_VERSION),
            pl.format(f"schema version {{}}; this reader knows {SCHEMA_VERSION}", version),
        )
    ]
    findings += [(pl.col(name).is_null(), _unreadable(name, timezone)) for name in COLUMNS]
    for name, (low, high) in RANGES.items():
        column = pl.col(name)
        outside = ~column.is_between(low, high) | column.cast(pl.Float64).is_nan()
        findings.append((outside, pl.format(f"{name} {{}} is not {low:g} … {high:g}", column)))
    pscore = pl.col("pscore")
    findings += [
        (~((pscore > 0) & (pscore <= 1)), pl.format("pscore {} is not in (0, 1]", pscore)),
        *((pl.col(name) == "", pl.lit(f"{name} is empty")) for name in IDENTITIES),
        (pl.col("step") < 0, pl.format("step {} is below 0", pl.col("step"))),
        (pl.col("like") & pl.col("dislike"), pl.lit("liked and disliked at once")),
        (pl.col("complete") & pl.col("skip"), pl.lit("completed and skipped at once")),
        (pl.col("ts") > now, pl.format("timestamp {} is in the future", pl.col("ts"))),
    ]
    return findings


def _unreadable(name: str, timezone: str | None) -> pl.Expr:
    """Return why a column is null: it is missing, or its value does not fit its type."""
    raw = pl.col(f"raw:{name}")
    text = raw.cast(pl.String, strict=False)
    reason = pl.format(f"{name} is not {_kind(name)}: {{}}", text.fill_null("?"))
    if name == "ts":
        naive = text.str.contains(NAIVE).fill_null(value=False)
        why = "has no time zone" if timezone is None else f"does not exist in {timezone}"
        without_zone = pl.format(f"timestamp {{}} {why}", text.fill_null("?"))
        reason = pl.when(naive).then(without_zone).otherwise(reason)
    if name in WORDS:
        reason = pl.format(f"unknown {name} {{}}", text.fill_null("?"))
    return pl.when(raw.is_null()).then(pl.lit(f"{name} is missing")).otherwise(reason)


def _kind(name: str) -> str:
    wanted = COLUMNS[name]
    if name == "ts":
        return "a time with a zone"
    if isinstance(wanted, pl.Boolean):
        return "true or false"
    return "a whole number" if wanted.is_integer() else "a number" if wanted.is_float() else "text"

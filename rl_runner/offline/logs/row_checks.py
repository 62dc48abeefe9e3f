"""What can be wrong with a row of a log, each row by itself.

Rows that belong together (doubled events, sessions that run backwards) are checked in
:mod:`rl_runner.offline.logs.interactions`, where all of them are known.
"""

from datetime import datetime

import polars as pl

from rl_runner.offline.logs.log_schema import COLUMNS, RANGES, SCHEMA_VERSION, TIME, WORDS

IDENTITIES = ("event_id", "user_id", "session_id")
LINE = "line"  # the column that holds where in its file a row stands, from 1
REASON = "reason"

NAIVE = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?$"
NAIVE_FORMATS = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M")
SHORT_ZONE = r"(:\d\d(?:\.\d+)?[+-]\d\d)$"  # +02, which is +02:00


def split_good_and_bad(
    raw: pl.DataFrame, now: datetime, timezone: str | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows that keep to the schema, and line and reason of those that do not.

    :param raw: all columns of the schema, of any type, and :data:`LINE`
    :param now: later timestamps are in the future
    :param timezone: what timestamps without a zone mean; None refuses them
    """
    frame = raw.select(LINE, *(_typed(raw, name, timezone) for name in COLUMNS))
    findings = _findings(now, timezone)
    is_bad = pl.any_horizontal([broken for broken, _ in findings])
    bad = frame.select(is_bad.fill_null(value=True)).to_series()
    if not bad.any():
        return frame, _no_refusals()
    reasons = pl.coalesce(
        [pl.when(broken).then(reason).otherwise(None) for broken, reason in findings]
    )
    # What was written tells more than what became of it: "mood is 'hungry'", not "is missing".
    written = raw.filter(bad).select(pl.all().exclude(LINE).name.prefix("raw:"))
    told = pl.concat([frame.filter(bad), written], how="horizontal")
    return frame.filter(~bad), told.select(LINE, reasons.alias(REASON))


def _no_refusals() -> pl.DataFrame:
    return pl.DataFrame(schema={LINE: pl.Int64(), REASON: pl.String()})


def _typed(raw: pl.DataFrame, name: str, timezone: str | None) -> pl.Expr:
    """Return a column in the schema's type; what cannot be had in it becomes null."""
    given, wanted = raw.schema[name], COLUMNS[name]
    column = pl.col(name)
    if name == "ts":
        return _time(given, timezone)
    if given == wanted:
        return column
    if isinstance(wanted, pl.Boolean) and given.is_numeric():
        whole = pl.when(column == 1).then(statement=True).when(column == 0).then(statement=False)
        return whole.otherwise(None).alias(name)
    if isinstance(wanted, pl.Boolean) and given == pl.String:
        truth = column.str.to_lowercase()
        return truth.replace_strict(
            ["true", "1", "false", "0"], [True, True, False, False], default=None
        ).alias(name)
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
    """Return (what is wrong, why) in the order in which one reason is picked for a row."""
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
    """Say why a column is null: nothing was written, or nothing that its type allows."""
    raw = pl.col(f"raw:{name}")
    text = raw.cast(pl.String, strict=False)
    told = pl.format(f"{name} is not a {_kind(name)}: {{}}", text.fill_null("?"))
    if name == "ts":
        naive = text.str.contains(NAIVE).fill_null(value=False)
        why = "has no time zone" if timezone is None else f"does not exist in {timezone}"
        odd = pl.format(f"timestamp {{}} {why}", text.fill_null("?"))
        told = pl.when(naive).then(odd).otherwise(told)
    if name in WORDS:
        told = pl.format(f"unknown {name} {{}}", text.fill_null("?"))
    return pl.when(raw.is_null()).then(pl.lit(f"{name} is missing")).otherwise(told)


def _kind(name: str) -> str:
    wanted = COLUMNS[name]
    if name == "ts":
        return "time with a zone"
    if isinstance(wanted, pl.Boolean):
        return "true or false"
    return "whole number" if wanted.is_integer() else "number" if wanted.is_float() else "text"

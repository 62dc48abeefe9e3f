"""The values of a log in the schema's types, whatever types the file stores them in.

An identity (of an event, user or session) is text. The same person must have one spelling in all
files: 5, 5.0 and "5" are the same user, since pandas turns whole numbers with a gap into floats. An
absent identity, such as NaN or NULL, must not become a person.
"""

import itertools
import re

import polars as pl

from rl_runner.offline.logs.local_times import AmbiguousTimes, as_time
from rl_runner.offline.logs.log_schema import COLUMNS, WORDS

IDENTITIES = ("event_id", "user_id", "session_id")

# What pandas, R, SQL dumps, JavaScript, Python and spreadsheets write for an absent value.
_ABSENT_WORDS = ("nan", "-nan", "null", "(null)", "none", "nil", "undefined", r"\n", "nat")
ABSENT = (
    *itertools.chain.from_iterable(
        (word, word.upper(), word.capitalize()) for word in _ABSENT_WORDS
    ),
    *("NaN", "-NaN", "NaT", "NA", "<NA>", "<na>", "N/A", "n/a", "N.A.", "n.a.", "[]", "{}"),
    *("#N/A", "#N/A N/A", "#NA", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
    *("#NULL!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#DIV/0!", "?", "-", "--", "."),
)
NOT_A_NAME = ("true", "True", "TRUE", "false", "False", "FALSE", "inf", "-inf", "Infinity")

_DECIMAL_WHOLE = r"^-?\d+\.0+$"  # 5.0
_ROUNDED = r"^-?(\d(\.\d+)?[eE]\+\d+|\d\.\d+[eE]\d+|\d{16,}\.0+)$"  # 1.23457E+12: digits are lost
_TRUTH = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}


def with_plain_types(raw: pl.DataFrame) -> pl.DataFrame:
    """Return a frame without types that only store values in another way.

    Words in a dictionary (Categorical, Enum) and bytes become text. Decimals become numbers, or
    text where the schema has text.
    """
    changed: list[pl.Expr | pl.Series] = []
    for name, wanted in COLUMNS.items():
        given, column = raw.schema[name], pl.col(name)
        if isinstance(given, pl.Categorical | pl.Enum) and given != wanted:
            changed.append(column.cast(pl.String))
        elif given == pl.Binary:
            changed.append(_text_of_bytes(raw[name]))
        elif isinstance(given, pl.Decimal):
            is_number = wanted.is_numeric() or wanted == pl.Boolean
            changed.append(column.cast(pl.Float64 if is_number else pl.String))
    return raw.with_columns(changed) if changed else raw


def _text_of_bytes(values: pl.Series) -> pl.Series:
    """Return bytes as text: UTF-8 if all are, else hexadecimal (such as ids of 16 bytes)."""
    try:
        return values.cast(pl.String)
    except pl.exceptions.PolarsError:
        return values.bin.encode("hex")


def typed(
    raw: pl.DataFrame, name: str, timezone: str | None, ambiguous: AmbiguousTimes | None
) -> pl.Expr:
    """Return a column in the schema's type; values that cannot be converted become null."""
    given, wanted = raw.schema[name], COLUMNS[name]
    column = pl.col(name)
    if name == "ts":
        return as_time(column, given, timezone, ambiguous).alias(name)
    if name in IDENTITIES:
        return _identity(raw[name]).alias(name)
    if given == wanted:
        return column
    if wanted == pl.Boolean:
        return _flag(column, given).alias(name)
    # Whole numbers, also written as decimals; words.
    if wanted.is_numeric() and given == pl.String:  # "3.0" is 3, as the number 3.0 is
        column = column.str.strip_chars().cast(pl.Float64, strict=False)
        given = pl.Float64()
    if wanted.is_integer() and given.is_float():
        return pl.when(column == column.round()).then(column).cast(wanted, strict=False).alias(name)
    if name in WORDS:
        column = column.cast(pl.String, strict=False).str.strip_chars()
    return column.cast(wanted, strict=False).alias(name)


def _flag(column: pl.Expr, given: pl.DataType) -> pl.Expr:
    """Return whether values are true: the numbers 0 and 1, or words for true and false."""
    if given.is_numeric():
        whole = pl.when(column == 1).then(statement=True).when(column == 0).then(statement=False)
        return whole.otherwise(None)
    if given == pl.String:
        truth = column.str.strip_chars().str.to_lowercase()
        words, meanings = list(_TRUTH), list(_TRUTH.values())
        return truth.replace_strict(words, meanings, default=None, return_dtype=pl.Boolean)
    return column.cast(pl.Boolean, strict=False)


def _identity(values: pl.Series) -> pl.Expr:
    """Return identities as text, a whole number in one spelling; null where digits are lost."""
    column, given = pl.col(values.name), values.dtype
    if given.is_float():
        # A float holds whole numbers exactly up to 2⁵³ (2²⁴ in single precision).
        exact = 2.0 ** (24 if given == pl.Float32 else 53)
        is_whole = (column == column.round()) & (column.abs() < exact)
        return pl.when(is_whole).then(column).cast(pl.Int64).cast(pl.String)
    if given != pl.String:
        return column.cast(pl.String, strict=False)
    # Regular expressions are slow on millions of rows: look first for what they would find.
    text = column.str.strip_chars()
    if any(values.str.contains(mark, literal=True).any() for mark in (".", "+")):
        text = pl.when(~text.str.contains(_ROUNDED)).then(text)
        is_whole = text.str.contains(_DECIMAL_WHOLE)
        text = pl.when(is_whole).then(text.str.replace(r"\.0+$", "")).otherwise(text)
    return text


def why_not_an_identity(text: str) -> str:
    """Return why a log could not keep a text as an identity, as the end of a sentence; or "".

    Who writes ids that pass this check reads the same ids from the log.
    """
    if text != text.strip():
        return "begins or ends with a space"
    if text in ABSENT:
        return "means that a value is missing"
    if text in NOT_A_NAME or text.startswith(('{"', "[")):
        return "is not a name"
    if re.search(_ROUNDED, text) or re.search(_DECIMAL_WHOLE, text):
        return "is a decimal number, which has several spellings"
    return ""

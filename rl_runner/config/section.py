"""The base class of every config section: frozen, strict, without unknown keys."""

import re

from pydantic import AfterValidator, BaseModel, ConfigDict


class Section(BaseModel):
    """A mapping in the YAML file whose keys are all known."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def text_like(pattern: str, words: str) -> AfterValidator:
    """Return a check that the whole text matches a regular expression.

    :param words: what is expected, in plain words for the error message
    """

    def check(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            message = f"expected {words}"
            raise ValueError(message)
        return text

    return AfterValidator(check)

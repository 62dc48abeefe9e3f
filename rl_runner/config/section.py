"""The base of every section of a config: frozen, strict, and closed to unknown keys."""

import re

from pydantic import AfterValidator, BaseModel, ConfigDict


class Section(BaseModel):
    """A mapping in the YAML file whose keys are all known."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def text_like(pattern: str, words: str) -> AfterValidator:
    """Return the check that a whole text matches a pattern, which refuses it in plain words.

    :param words: what is expected, for people who do not read patterns
    """

    def check(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            message = f"expected {words}"
            raise ValueError(message)
        return text

    return AfterValidator(check)

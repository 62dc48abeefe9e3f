"""What all config sections share: their base class, and numbers with their ranges."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MAX_TIMESTEPS = 10**12

Count = Annotated[int, Field(ge=1, le=10**9)]
Timesteps = Annotated[int, Field(ge=1, le=MAX_TIMESTEPS)]


class Section(BaseModel):
    """A mapping in the YAML file: frozen, strict, and all of its keys are known."""

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

"""What the numbers in an environment's ``info`` are, so that only what has a mean is averaged.

An environment may declare ``info_values``, a dictionary from the names of its numbers to
:class:`InfoValue`. For a number that it does not declare, a rule decides: True and False are a
rate, a number that is the same in all episodes is left out, and every other number has a mean.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["mean", "rate", "sum", "not averaged"]


@dataclass(frozen=True)
class InfoValue:
    """One number of an episode: what it is, and what tables call it."""

    kind: Kind
    label: str = ""  # default: its name


InfoValues = Mapping[str, InfoValue]

NOT_AVERAGED = InfoValue("not averaged")

"""The values of one hyperparameter on an axis of a picture."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOG_RATIO = 50.0  # largest to smallest value, from which an axis is logarithmic
DECADES_RATIO = 100.0  # largest to smallest value, from which powers of ten label an axis well


class ParameterAxis:
    """The values of one hyperparameter on an axis: numbers by size, choices side by side."""

    def __init__(self, name: str, values: Sequence[Any], is_log: bool = False) -> None:
        self.name = name
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        self.choices = [] if numbers else sorted({str(value) for value in values})
        if self.choices:
            self.places = np.array([float(self.choices.index(str(value))) for value in values])
        else:
            self.places = np.array(values, dtype=float)
        low, high = float(self.places.min()), float(self.places.max())
        spread = low > 0 and high / low >= LOG_RATIO
        self.is_log = not self.choices and (is_log or spread)

    def set_scale(self, axes: "Axes") -> None:
        """Set the scale and the ticks of a panel's x axis."""
        if self.is_log:
            axes.set_xscale("log")
            low, high = self.places.min(), self.places.max()
            # Within two decades, powers of ten alone would label too few places.
            if high < DECADES_RATIO * low:
                ticks = np.geomspace(low, high, 3) if low < high else np.array([low])
                axes.set_xticks(ticks, [f"{tick:.2g}" for tick in ticks])
                axes.set_xticks([], minor=True)
        if self.choices:
            axes.set_xticks(range(len(self.choices)), self.choices)
            axes.margins(x=0.2)
        elif not self.is_log:
            axes.locator_params(axis="x", nbins=4)
        axes.tick_params(labelsize=8)

    def fractions(self) -> np.ndarray:
        """Return where each value lies between the lowest (0) and the highest (1), in [0, 1]."""
        places = np.log(self.places) if self.is_log else self.places
        low, high = places.min(), places.max()
        return np.asarray(
            (places - low) / (high - low) if high > low else np.full(len(places), 0.5)
        )

    def labels(self) -> list[tuple[float, str]]:
        """Return texts beside the axis, with their heights in [0, 1]."""
        if self.choices:
            top = max(1, len(self.choices) - 1)
            only = len(self.choices) == 1
            return [(0.5 if only else i / top, text) for i, text in enumerate(self.choices)]
        ends = sorted({float(self.places.min()), float(self.places.max())})
        if len(ends) == 1:
            return [(0.5, f"{ends[0]:.3g}")]
        return [(0.0, f"{ends[0]:.3g}"), (1.0, f"{ends[1]:.3g}")]

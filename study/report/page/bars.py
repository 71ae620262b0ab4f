"""Bars in the cells of tables: a mean with its interval, and a share."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import pandas as pd
from markupsafe import Markup

from study.report.page.inputs import Entry, PageInputs
from study.report.page.parts import Cell
from study.report.paper.published import Published

WIDTH, SHARE_WIDTH = 150, 90  # units


@dataclass(frozen=True)
class Scale:
    """The common scale of the bars of a table.

    Attributes:
        low: weighted F1 at its left end; 1 is at its right.
        constant: score of the better constant answer, a mean over folds.
    """

    low: float
    constant: float

    @classmethod
    def covering(cls, inputs: PageInputs, entries: Sequence[Entry]) -> Self:
        """Return a scale with room for every mean of `entries`, and for the constant answer."""
        means = pd.concat(
            [inputs.trial_summary(entry.name)["f1_weighted_mean"] for entry in entries]
        )
        scores = inputs.scores[inputs.scores["trial"].isin([entry.name for entry in entries])]
        constant = float(scores["f1_weighted_constant"].mean())
        least = min(float(means.min()), constant)
        low = 0.0 if math.isnan(least) else max(0.0, math.floor(least * 20 - 0.5) / 20)
        return cls(low, constant)

    def bar(self, row: "pd.Series[Any]", published: Published | None) -> Cell:
        """Draw mean and interval of a row of the summary, the constant and the paper's number."""
        mean, low, high = (row[f"f1_weighted_{end}"] for end in ("mean", "low", "high"))
        if math.isnan(mean):
            return Cell("")
        parts = [f'<path class="base" d="M{self._at(self.constant)} 1v14"/>']
        if not math.isnan(low):
            parts.append(f'<path class="span" d="M{self._at(low)} 8H{self._at(high)}"/>')
        if published is not None:
            x = self._at(published.mean)
            parts.append(f'<path class="paper" d="M{x} 3.5l4 4.5-4 4.5-4-4.5z"/>')
        parts.append(f'<circle cx="{self._at(mean)}" cy="8" r="3.4"/>')
        label = f"{mean:.3f} on a scale from {self.low:.2f} to 1"
        return Cell(Markup(
            f'<svg class="bar" viewBox="-5 0 {WIDTH + 10} 16" role="img" aria-label="{label}">'
            f'<path class="rail" d="M0 8H{WIDTH}"/>{"".join(parts)}</svg>'
        ))  # fmt: skip

    def _at(self, value: float) -> str:
        share = (min(max(value, self.low), 1.0) - self.low) / (1 - self.low)
        return f"{share * WIDTH:.1f}"


def share_bar(value: float, *, wanted: bool) -> Cell:
    """Draw a share, in [0, 1], in the page's colour if it is `wanted`; nothing for nan."""
    if math.isnan(value):
        return Cell("")
    style = "hit" if wanted else "alarm"
    return Cell(Markup(
        f'<svg class="bar" viewBox="0 0 {SHARE_WIDTH} 16" role="img" aria-label="{value:.3f} of 1">'
        f'<path class="rail" d="M0 8H{SHARE_WIDTH}"/>'
        f'<path class="{style}" d="M0 8H{value * SHARE_WIDTH:.1f}"/></svg> {value:.3f}'
    ), "share")  # fmt: skip

"""Positions of a searched setting's values on an axis of a picture."""

from typing import Any, Literal

from matplotlib.ticker import MaxNLocator

from study.config.search_space import Distribution
from study.report.page import charts
from study.report.page.parts import format_setting


class Positions:
    """Positions of a searched setting's values on an axis."""

    def __init__(self, form: Distribution) -> None:
        self._choices = [str(value) for value in form.choice] if form.choice else []
        self._is_log = bool(form.loguniform or form.logint)
        self._is_whole = form.is_integer
        self._ends = (form.ends[0], form.ends[-1])

    @property
    def is_choice(self) -> bool:
        """Whether values have no order."""
        return bool(self._choices)

    @property
    def ends(self) -> tuple[str, str]:
        """Labels of the axis's ends."""
        low, high = map(format_setting, self._ends)
        return low, high

    def position(self, value: Any) -> float:
        """Return a value's position on the axis of a picture."""
        return float(self._choices.index(str(value))) if self._choices else float(value)

    def set_ticks(self, axes: Any, name: Literal["x", "y"] = "x") -> None:
        """Give an axis its scale and ticks."""
        axis = axes.xaxis if name == "x" else axes.yaxis
        if self._choices:
            axis.set_ticks(range(len(self._choices)), self._choices)
            axes.set(**{f"{name}lim": (-0.5, len(self._choices) - 0.5)})
        elif self._is_log:
            charts.logarithmic(axes, name)
        elif self._is_whole:
            axis.set_major_locator(MaxNLocator(integer=True))

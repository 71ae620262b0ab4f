"""What a fold reports while it trains, again when it is resumed, and when it has ended."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from study.ledger.ledger import FoldManifest
from study.training.validation_report import StoppedEarly, ValidationReport


class FoldReports:
    """What is reported of a fold, epoch after epoch.

    Args:
        epochs: of the whole training.
        validation_epochs: those of them that are reported.
        watch: takes the reports; see `study.training.fold.train_fold`.

    Attributes:
        costs: what scoring costs, by metric: it is reported with each epoch, and in no history.
    """

    def __init__(
        self,
        epochs: int,
        validation_epochs: Sequence[int],
        watch: Callable[[ValidationReport], None],
    ) -> None:
        self._epochs, self._validation_epochs, self._watch = epochs, validation_epochs, watch
        self.costs: Mapping[str, float] = {}
        self._last: ValidationReport | None = None
        self._is_stopped = False

    @property
    def epoch(self) -> int:
        """The last epoch that was reported; 0 before there is one."""
        return self._last.epoch if self._last else 0

    def add(self, row: Mapping[str, Any]) -> None:
        """Report an epoch that was validated.

        Raises:
            StoppedEarly: the trial ends here.
        """
        epoch = int(row["epoch"])
        self._last = ValidationReport(
            epoch=epoch,
            state="completed" if epoch == self._epochs else "running",
            value=row["value"],
            scores=epoch_scalars(row) | dict(self.costs),
        )
        try:
            self._watch(self._last)
        except StoppedEarly:
            self._is_stopped = True
            raise

    def repeat(self, history: list[dict[str, Any]]) -> None:
        """Report what was validated before."""
        for row in history:
            if "value" in row:
                self.add(row)

    def end(self, manifest: FoldManifest) -> None:
        """Report how a fold ended, if it was stopped or failed, now that it is committed."""
        if self._is_stopped and self._last:
            value = math.nan if manifest.state == "failed" else self._last.value
            ended = replace(self._last, state=manifest.state, reason=manifest.reason, value=value)
            self._watch(ended)
            return
        for epoch in self._validation_epochs:
            if epoch > self.epoch:
                assert manifest.state == "failed"
                self._watch(ValidationReport(epoch=epoch, state="failed", reason=manifest.reason))


def epoch_scalars(row: Mapping[str, Any], *, grouped: bool = False) -> dict[str, float]:
    """Return the scalars of an epoch's row; of those with a group, `group/name`, only them."""
    return {
        name: float(value)
        for name, value in row.items()
        if name not in ("epoch", "value")
        and not isinstance(value, Sequence)
        and (not grouped or "/" in name)
    }

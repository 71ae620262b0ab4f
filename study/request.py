"""A study that is to be planned or run, with what its results folder holds of it."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from study.errors import StudyFailedError

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from study.config.schema import Study
    from study.ledger.ledger import Ledger
    from study.search.budget import Budget
    from study.search.plan import Plan
    from study.search.trial import TrialRecord
    from study.search.trial_source import TrialSource
    from study.storage.folder import Folder
    from study.training.prepared import Prepared


@dataclass(frozen=True)
class Request:
    """A study that is to be planned or run, and where its results are.

    Attributes:
        study: the study.
        outputs: the folder of all results.
        console: where progress is shown.
        fresh: whether to start anew.
        replayed: results of the same study, whose proposals and decisions are followed.
        folder: that of the study file, where its data may be.
    """

    study: "Study"
    outputs: "Folder"
    console: "Console"
    fresh: bool
    replayed: "Folder | None" = None
    folder: "Path | None" = None

    @property
    def results(self) -> "Folder":
        """The study's results folder."""
        return self.outputs.folder(self.study.name)

    @property
    def is_reported(self) -> bool:
        """Whether the study has ended before, so that there may be nothing to train."""
        return not self.fresh and self.results.exists("scores.parquet")

    def source(self) -> "TrialSource":
        """Return where the study's trials come from, from the beginning."""
        from study.ledger.replay import known_proposals
        from study.search.sources import trial_source

        has_past = self.study.search.budget and not self.fresh
        known = known_proposals(self.ledger, ()) if has_past else ()
        return trial_source(self.study, known, is_spent=self.budget().is_spent)

    def budget(self, seconds: "Callable[[], float] | None" = None) -> "Budget":
        """Return what the study may take, and what its runs have taken.

        Args:
            seconds: returns for how long they have run; None: as the ledger has it.
        """
        from study.ledger.run_time import stored_seconds
        from study.search.budget import Budget

        def stored() -> float:
            # What is damaged is put aside before the study runs.
            with contextlib.suppress(StudyFailedError):
                return 0.0 if self.fresh else stored_seconds(self.ledger)
            return 0.0

        return Budget(self.study.search.budget, seconds or stored, self._incomplete())

    @cached_property
    def ledger(self) -> "Ledger":
        """The study's ledger; nobody else adds ended trials to it."""
        from study.ledger.index import open_ledger

        return open_ledger(self.results)

    def ended(self) -> "list[TrialRecord]":
        """Return the records of ended trials whose folds are all committed."""
        from study.ledger.trial_outcome import split_by_completeness

        return split_by_completeness(self.ledger)[0]

    def _incomplete(self) -> "list[TrialRecord]":
        """Return the records of ended trials of which folds are lost, if a budget counts them."""
        from study.ledger.trial_outcome import split_by_completeness

        is_counted = self.study.search.budget and not self.fresh
        return split_by_completeness(self.ledger)[1] if is_counted else []

    def missing(self) -> list[str]:
        """Return the names of the trials that are still to run."""
        return self.source().missing({record.name: record for record in self.ended()})

    def warn(self, line: str) -> None:
        """Show a line on what is probably not intended."""
        self.console.print(f"{'warning':>12}  {line}", highlight=False, soft_wrap=True)

    def show_plan(
        self,
        plan: "Plan",
        of_cluster: Mapping[str, str] | None = None,
        prepared: "Prepared | None" = None,
    ) -> None:
        """Show what will run, and what stands against it where the data are known."""
        from study.terminal.planned import show_plan

        # What is started anew has no trials yet.
        ended = [] if self.fresh else self.ended()
        sizes = [self.ledger.size(record.name) for record in ended]
        trial_bytes = sum(sizes) / len(ended) if ended else 0.0
        spent = self.budget().shown({record.name: record for record in ended})
        lines = {"budget": spent and f"{spent} spent", **(of_cluster or {})}
        if prepared and prepared.data_line:
            lines = {"variants": prepared.data_line, **lines}
        show_plan(self.console, self.study, self.source(), plan, ended, trial_bytes, lines)
        for line in prepared.warnings(self.study) if prepared else ():
            self.warn(line)

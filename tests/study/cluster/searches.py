"""The parts of a driver's search, without a cluster."""

from pathlib import Path
from typing import Any

from study.cluster.search_state import SearchState
from study.cluster.slots import Slots
from study.config.schema import Study
from study.ledger.ledger import Ledger
from study.search.rungs import FoldSchedule
from study.search.sources import trial_source
from study.search.trial import Trial, TrialRecord
from study.storage.folder import LocalFolder


class Seen:
    """An observer that keeps what it is shown."""

    def __init__(self) -> None:
        self.results: list[tuple[str, int]] = []
        self.ended: list[TrialRecord] = []
        self.deaths: list[tuple[str, str, bool]] = []
        self.news: list[str] = []

    def on_result(self, trial: Trial, result: dict[str, Any]) -> None:
        self.results.append((trial.name, result["epoch"]))

    def on_ended(self, record: TrialRecord) -> None:
        self.ended.append(record)

    def on_death(self, trial: Trial, reason: str, *, is_replaced: bool) -> None:
        self.deaths.append((trial.name, reason, is_replaced))

    def on_news(self, line: str) -> None:
        self.news.append(line)


def state_of(study: Study, results: Path) -> SearchState:
    slots, folder = Slots(FoldSchedule.of(study)), LocalFolder(results)
    return SearchState(trial_source(study), folder, Ledger.of(folder), {}, {}, Seen(), slots)

"""A scheduler as a plain object, and what it tells the coordinator."""

from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import TrialScheduler

from study.cluster.scheduler import RungScheduler
from study.cluster.search_state import SearchState
from study.config.schema import StoppingSettings, Study
from study.ledger.fold_contents import history_file
from study.ledger.ledger import FoldManifest, Ledger
from study.search.trial import FoldAddress, State, Trial
from tests.study.trials import trial_of

STOPPING = StoppingSettings(grace_epochs=2, reduction=2)
CONTINUE, STOP = TrialScheduler.CONTINUE, TrialScheduler.STOP


class Messages:
    """A coordinator's handle, which keeps what it is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(remote=lambda *arguments: self.sent.append((name, *arguments)))


class Run:
    """A scheduler of a study of six epochs, with rungs at 2 and 4 if nothing else is said."""

    def __init__(
        self, state: SearchState, study: Study, stopping: StoppingSettings = STOPPING
    ) -> None:
        self.state, self.study = state, study
        self.messages = Messages()
        self.scheduler = RungScheduler(state, stopping, self.messages, metrics=study.search.metrics)

    def start(self, trial: Trial) -> Trial:
        self.state.running[trial.name] = trial
        return trial

    def report(
        self, trial: Trial, epoch: int, value: float, state: str = "running", **kept: Any
    ) -> str:
        """Return what becomes of the trial; the id that Tune gives it is here its name.

        For Tune a trial that is stopped goes on, until its folds have committed that.
        """
        result = {"epoch": epoch, "value": value, "state": state, **kept}
        tune_trial = SimpleNamespace(trial_id=trial.name)
        decision = self.scheduler.on_trial_result(None, tune_trial, result)
        is_stopped = self.state.stopped.get(trial.name) == epoch
        return STOP if is_stopped and decision == CONTINUE else decision

    def trial(self, number: int, **kept: Any) -> Trial:
        return trial_of(self.study, number, **kept)


def commit_fold(
    ledger: Ledger,
    address: FoldAddress,
    values: list[float],
    state: State = "completed",
    **scores: float,
) -> None:
    """Commit a fold that validated at every epoch, with the same scores."""
    rows = [{"epoch": epoch, "value": value, **scores} for epoch, value in enumerate(values, 1)]
    manifest = FoldManifest(address.trial, address.fold, state, "", len(values), len(values), {})
    ledger.commit_fold(manifest, {"history.parquet": history_file(rows)})

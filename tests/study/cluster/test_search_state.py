from collections.abc import Callable
from pathlib import Path

from study.cluster.search_state import SearchState
from study.cluster.tune_search import search_state
from study.config.schema import Study
from study.ledger.ledger import Ledger
from study.ledger.recovery import recover
from study.storage.folder import LocalFolder
from tests.study.cluster.scheduling import commit_fold
from tests.study.cluster.searches import Seen, state_of
from tests.study.trials import record_of, trial_of


def observed(state: SearchState) -> Seen:
    assert isinstance(state.observer, Seen)
    return state.observer


def test_what_goes_wrong_while_a_trial_is_written_down_is_kept_for_the_end(
    tmp_path: Path, tiny_study: Callable[..., Study]
) -> None:
    state = state_of(tiny_study(), tmp_path)
    state.results.write("ledger", b"a file where the ledger's folder should be")
    state.failed["trial-00000"] = "fold 0: no"
    state.finalize(trial_of(tiny_study()))
    assert state.lost == {"trial-00000"}
    assert [type(error) for error in state.errors] == [NotADirectoryError]
    assert not observed(state).ended
    assert not state.ended


def test_trials_are_numbered_in_the_order_of_completion(
    tmp_path: Path, tiny_study: Callable[..., Study]
) -> None:
    state = state_of(tiny_study(), tmp_path)
    incomplete = record_of(trial_of(tiny_study(), 7), values=[(1, 0.5)])
    state.incomplete[incomplete.name] = incomplete
    for number in (3, 0):
        trial = trial_of(tiny_study(), number)
        state.failed[trial.name] = "fold 0: no"
        state.finalize(trial)
    assert not state.errors
    orders = {record.trial.number: record.completion_order for record in state.ended.values()}
    assert orders == {3: 1, 0: 2}
    stored = Ledger(LocalFolder(tmp_path / "ledger")).trials()
    assert {record.trial.number: record.completion_order for record in stored} == orders
    assert [record.trial.number for record in observed(state).ended] == [3, 0]


def test_a_record_that_is_made_again_has_the_order_that_it_had(
    tmp_path: Path, tiny_study: Callable[..., Study]
) -> None:
    """Proposals say by these orders what they were made from, and budgets what came before."""
    study, folder = tiny_study(search={"trials": 6}), LocalFolder(tmp_path)
    state = state_of(study, tmp_path)
    for number in (0, 2, 1, 3):
        trial = trial_of(study, number)
        for address in trial.folds:
            commit_fold(state.ledger, address, [0.1 * number])
        state.finalize(trial)
    before = state.ledger.trials()
    path = tmp_path / "ledger/trial-00002/trial.json"
    path.write_bytes(path.read_bytes().replace(b"completed", b"comPleted"))
    recover(folder)
    again = search_state(study, folder, Ledger.of(folder), Seen())
    for number in (4, 2):  # what ends first in this run takes it from nobody
        trial = trial_of(study, number)
        for address in trial.folds if number == 4 else ():
            commit_fold(again.ledger, address, [0.4])
        again.finalize(trial)
    *records, new = again.ledger.trials()
    assert records == before
    assert new.completion_order == 4


def test_a_trial_with_folds_missing_is_left_to_the_next_run(
    tmp_path: Path, tiny_study: Callable[..., Study]
) -> None:
    state = state_of(tiny_study(), tmp_path)
    state.finalize(trial_of(tiny_study()))
    assert state.lost == {"trial-00000"}
    assert not state.errors
    assert not observed(state).ended

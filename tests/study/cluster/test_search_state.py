from collections.abc import Callable
from pathlib import Path

from study.cluster.search_state import SearchState
from study.config.schema import Study
from study.ledger.ledger import Ledger
from study.storage.folder import LocalFolder
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


def test_a_trial_with_folds_missing_is_left_to_the_next_run(
    tmp_path: Path, tiny_study: Callable[..., Study]
) -> None:
    state = state_of(tiny_study(), tmp_path)
    state.finalize(trial_of(tiny_study()))
    assert state.lost == {"trial-00000"}
    assert not state.errors
    assert not observed(state).ended

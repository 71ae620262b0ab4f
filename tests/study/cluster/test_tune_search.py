from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray.tune.experiment import Trial

from study.cluster.scheduler import MilestoneScheduler
from study.cluster.search_state import SearchState
from study.cluster.tune_search import LedgerSearch, last_failure
from study.config.schema import Study
from study.ledger.ledger import Ledger, TrialRecord
from study.search.sources import TWIN
from study.storage.folder import LocalFolder


def test_what_goes_wrong_while_a_trial_is_written_down_is_kept_for_the_end(
    tmp_path: Path, tiny_study: Callable[..., Study]
) -> None:
    results = LocalFolder(tmp_path)
    results.write("ledger", b"a file where the ledger's folder should be")
    ended: list[object] = []
    state = SearchState(
        tiny_study(), results, {}, {}, lambda *_: None, ended.append, lambda *_: None
    )
    state.parameters[0] = {}
    state.conclude(0)
    assert state.lost == {0}
    assert [type(error) for error in state.errors] == [NotADirectoryError]
    assert not ended
    assert not state.ended


KILLED = """The actor died unexpectedly before finishing this task.
	class_name: ResourceTrainable
	pid: 12
The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker \
exit detail: Worker unexpectedly exits with a connection error code 2. End of file. Some \
common causes include: (1) the process was killed."""
NODE_DIED = """The actor died unexpectedly before finishing this task.
	pid: 12
The actor died because its node has died. Node Id: 12"""
RAISED = """ray::ResourceTrainable.train() (pid=12)
  File "desk.py", line 1, in result
study.cluster.coordinator.LostTrialError: workers of trial 0 died 4 times at one epoch"""


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (KILLED, "Worker unexpectedly exits with a connection error code 2"),
        (NODE_DIED, "The actor died because its node has died"),
        (RAISED, RAISED.splitlines()[-1]),
        ("", "4 (occurred at noon)"),
    ],
)
def test_the_last_failure_of_a_trial_is_told_in_a_few_words(
    tmp_path: Path, said: str, reason: str
) -> None:
    file = tmp_path / "error.txt"
    earlier = "Failure # 3 (occurred at dawn)\nsomething else\n"
    file.write_text(f"{earlier}Failure # 4 (occurred at noon)\n{said}\n")
    assert last_failure(SimpleNamespace(error_file=str(file))) == reason


def state_of(study: Study, results: Path) -> SearchState:
    return SearchState(study, LocalFolder(results), {}, {}, *[lambda *_: None] * 3)


def test_trials_are_numbered_by_arrival(tmp_path: Path, tiny_study: Callable[..., Study]) -> None:
    state = state_of(tiny_study(), tmp_path)
    state.repaired[7] = TrialRecord(7, {}, "completed", "", [(1, 0.5)])
    for number in (3, 0):
        state.parameters[number] = {}
        state.failed[number] = "fold 0: no"
        state.conclude(number)
    assert not state.errors
    arrivals = {record.number: record.arrival for record in state.ended.values()}
    assert arrivals == {3: 1, 0: 2}
    stored = Ledger(LocalFolder(tmp_path / "ledger")).trials()
    assert {record.number: record.arrival for record in stored} == arrivals


def test_the_pending_trial_that_was_proposed_first_runs_first(
    tmp_path: Path, tiny_study: Callable[..., Study]
) -> None:
    state = state_of(tiny_study(), tmp_path)
    state.numbers.update(a=2, b=1, c=0)
    scheduler = MilestoneScheduler(state, frozenset(), desk=None)
    named = {"a": Trial.PENDING, "b": Trial.PENDING, "c": Trial.RUNNING}
    trials = [SimpleNamespace(trial_id=name, status=status) for name, status in named.items()]
    controller = SimpleNamespace(get_live_trials=lambda: trials)
    assert scheduler.choose_trial_to_run(controller).trial_id == "b"
    trials.clear()
    assert scheduler.choose_trial_to_run(controller) is None


def beside(tiny_study: Callable[..., Study]) -> Study:
    return tiny_study(
        split={"protocol": "paper", "beside": "inter_patient", "folds": 2},
        search={"trials": 2, "parallel": 2},
    )


def end(state: SearchState, number: int, value: float) -> None:
    parameters = state.parameters[number]
    state.ended[number] = TrialRecord(number, parameters, "completed", "", [(1, value)])


def test_the_twin_of_the_best_trial_comes_last_and_once(
    tmp_path: Path, tiny_study: Callable[..., Study]
) -> None:
    state = state_of(beside(tiny_study), tmp_path)
    search = LedgerSearch(state)
    given = [search.suggest(name) for name in ("a", "b")]
    assert [each["number"] for each in given] == [0, 1]  # type: ignore[index]
    assert search.suggest("c") is None
    end(state, 0, 0.4)
    assert search.suggest("c") is None
    end(state, 1, 0.6)
    twin = search.suggest("c")
    assert twin == {
        "number": TWIN + 1,
        "parameters": {**state.parameters[1], "split.protocol": "inter_patient"},
    }
    assert state.numbers["c"] == TWIN + 1
    assert search.suggest("d") == LedgerSearch.FINISHED
    end(state, TWIN + 1, 0.9)
    assert search.suggest("d") == LedgerSearch.FINISHED


def test_a_search_that_lost_a_trial_has_no_twin_yet(
    tmp_path: Path, tiny_study: Callable[..., Study]
) -> None:
    state = state_of(beside(tiny_study), tmp_path)
    search = LedgerSearch(state)
    for name in ("a", "b"):
        search.suggest(name)
    end(state, 0, 0.4)
    state.lost.add(1)
    assert search.suggest("c") == LedgerSearch.FINISHED

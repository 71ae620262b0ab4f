"""A run of a study, but for what needs a cluster."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from study import driver
from study.errors import RequestError
from study.ledger.index import open_ledger
from study.ledger.ledger import Ledger
from study.ledger.run_time import RunTime
from study.request import Request
from study.search.plan import Plan
from study.search.trial import RungDecision
from study.storage.folder import Folder, LocalFolder
from tests.study.checked import small_study


def run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    fresh: bool = False,
    replayed: Folder | None = None,
) -> Request:
    """Run a study whose search takes two hours in no time; return the request that is reported."""

    @contextlib.contextmanager
    def connected(*_: object) -> Iterator[None]:
        yield

    def search(request: Request, *_: object) -> list[str]:
        times = iter([0.0, 7200.0])
        RunTime(request.ledger, lambda: next(times, 7200.0)).save()
        return []

    reported: list[Request] = []
    monkeypatch.setattr("study.cluster.connection.connected", connected)
    monkeypatch.setattr("study.cluster.connection.private_folder", connected)
    planned = (Plan(1, 0, 1), dict[str, str]())
    monkeypatch.setattr("study.cluster.capacity.plan_on_cluster", lambda *_, **__: planned)
    monkeypatch.setattr(driver, "_search", search)
    monkeypatch.setattr(driver, "_report", lambda request, *_: reported.append(request))
    metric = {"composition": "reconstruction"}
    study = small_study("short", search={"budget": {"hours": 1.0}, "metric": metric})
    console = Console(file=io.StringIO())
    request = Request(study, LocalFolder(tmp_path), console, fresh, replayed)
    driver.run_study(request, str(tmp_path), None, lambda reason: None)
    return reported[0]


def test_the_budget_of_a_fresh_start_is_known_when_it_is_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = run(tmp_path, monkeypatch, fresh=True).budget()
    assert budget.is_spent({})
    assert budget.shown({}) == "2.00 of 1 hours"


def test_a_run_opens_its_ledger_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a store that lists all of it, and reads its index."""
    opened: list[Folder] = []

    def counted(results: Folder) -> Ledger:
        opened.append(results)
        return open_ledger(results)

    monkeypatch.setattr("study.ledger.index.open_ledger", counted)
    run(tmp_path, monkeypatch)
    assert len(opened) == 1


def test_a_replay_begins_with_the_decisions_of_the_other_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(tmp_path / "first", monkeypatch)
    decision = RungDecision("trial-00000", 2, 0.25, goes_on=False, order=0)
    first.ledger.record_decision(decision)
    again = run(tmp_path / "again", monkeypatch, replayed=first.results)
    assert again.ledger.decisions() == [decision]


def test_what_a_fresh_start_puts_aside_is_not_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(tmp_path, monkeypatch)
    first.ledger.record_decision(RungDecision("trial-00000", 2, 0.25, goes_on=False, order=0))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RequestError, match=r"--replay: short is what --fresh puts aside"):
        run(tmp_path, monkeypatch, fresh=True, replayed=LocalFolder(Path("short")))
    assert len(first.ledger.decisions()) == 1


@pytest.mark.parametrize("fresh", [False, True])
def test_a_study_has_been_reported_if_it_has_a_table_and_does_not_start_anew(
    tmp_path: Path, fresh: bool
) -> None:
    study, results = small_study("short"), LocalFolder(tmp_path)
    request = Request(study, results, Console(file=io.StringIO()), fresh)
    assert not request.is_reported
    results.write("short/scores.parquet", b"")
    assert request.is_reported != fresh

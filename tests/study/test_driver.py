"""A run of a study, but for what needs a cluster."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from study import driver
from study.ledger.run_time import RunTime
from study.request import Request
from study.search.plan import Plan
from study.storage.folder import LocalFolder
from tests.study.checked import small_study


def test_the_budget_of_a_fresh_start_is_known_when_it_is_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def connected(*_: object) -> Iterator[None]:
        yield

    def search(request: Request, *_: object) -> list[str]:
        times = iter([0.0, 7200.0])
        RunTime(request.ledger, lambda: next(times, 7200.0)).save()
        return []

    reported: list[Request] = []
    monkeypatch.setattr("study.cluster.connection.connected", connected)
    planned = (Plan(1, 0, 1), dict[str, str]())
    monkeypatch.setattr("study.cluster.capacity.plan_on_cluster", lambda *_, **__: planned)
    monkeypatch.setattr(driver, "_search", search)
    monkeypatch.setattr(driver, "_report", lambda request, *_: reported.append(request))
    metric = {"composition": "reconstruction"}
    study = small_study("short", search={"budget": {"hours": 1.0}, "metric": metric})
    console = Console(file=io.StringIO())
    request = Request(study, LocalFolder(tmp_path), console, fresh=True)
    driver.run_study(request, str(tmp_path), None, lambda reason: None)
    assert reported[0].budget().is_spent({})
    assert reported[0].budget().shown({}) == "2.00 of 1 hours"

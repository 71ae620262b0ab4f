"""Studies give the numbers that they gave before, byte for byte.

`python -m tests.golden --make` writes the goldens anew, where numbers change on purpose.
"""

import signal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.golden.portable import deviations, machine
from tests.golden.studies import FOLDER, finish, golden_machine, serial, start
from tests.golden.tables import Tables, differences, read_golden
from tests.study_run import kill

NEW_COLUMNS: frozenset[str] = frozenset(
    ("folds", "rule", "against", "p", "origin", "learned_from", "confirmed_value", "of_metric")
)
"""Columns that came on purpose after the goldens were made, and that these have not."""

KILLED_AT = "trial-00003: epoch 1 of"
"""What the search prints when the driver is killed: TPE and ASHA have more trials to go."""


@pytest.fixture(scope="module")
def same_arithmetic() -> None:
    """Skip where the goldens cannot be expected bit by bit."""
    if found := deviations(golden_machine(), machine()):
        pytest.skip(f"the golden tables are of other arithmetic: {'; '.join(found)}")


def check(study: str, made: Tables) -> None:
    found = differences(read_golden(FOLDER / study), made, NEW_COLUMNS)
    assert not found, "\n".join(["other tables than the golden ones:", *found])


@pytest.mark.usefixtures("same_arithmetic")
def test_a_study_of_systems_gives_its_golden_tables(tmp_path: Path) -> None:
    """In one process; the search shows that a cluster gives the same, as does `--compare`."""
    check("systems", serial("systems", tmp_path))


@pytest.mark.usefixtures("same_arithmetic")
def test_a_search_that_is_killed_and_continued_gives_its_golden_tables(tmp_path: Path) -> None:
    """The goldens are of a search that ran through, which `--compare` does as well."""
    killed = start("search", tmp_path)
    try:
        killed.wait_until_printed(KILLED_AT)
        assert kill(killed.driver.pid)
        assert killed.wait() == -signal.SIGKILL
        check("search", finish(start("search", tmp_path), "search", tmp_path))
    finally:
        killed.stop()


def test_the_goldens_hold_what_a_change_could_break() -> None:
    """Trials that were stopped early, rows without numbers, measures, a second protocol."""
    trials = pq.read_table(FOLDER / "search/ended.parquet")["state"].to_pylist()
    assert {"completed", "pruned"} == set(trials)
    scores = pq.read_table(FOLDER / "systems/scores.parquet").to_pandas()
    assert set(scores["protocol"]) == {"paper", "inter_patient"}
    assert 0 < (scores["note"] != "").sum() < len(scores) / 2
    measures = pq.read_table(FOLDER / "systems/measures.parquet").to_pandas()
    assert measures.filter(like="tstr").notna().any(axis=None)

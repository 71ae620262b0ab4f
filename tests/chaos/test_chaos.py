import shutil
from pathlib import Path

import pytest

from tests.chaos.form import Form
from tests.chaos.harness import Chaos
from tests.gate import Gate
from tests.golden.portable import ENVIRONMENT
from tests.golden.studies import FOLDER, check_tables, other_arithmetic
from tests.golden.tables import read_results

pytestmark = pytest.mark.cluster
KINDS = ["worker", "coordinator", "trial", "head"]


class GoldenSearch(Form):
    """The search of the golden tables: TPE proposes its trials, and some are stopped early."""

    name = "search"

    def write(self, path: Path) -> None:
        shutil.copy(FOLDER / "search.yaml", path)


def test_a_search_that_is_killed_in_every_part_gives_its_golden_tables(tmp_path: Path) -> None:
    """Each process trains two epochs and waits for its end; the last ones train the rest.

    The goldens are of a search that ran through.
    """
    gate = Gate(tmp_path, epochs=2)
    chaos = Chaos(tmp_path, GoldenSearch(trials=6, epochs=3), 1, gate, ENVIRONMENT)
    chaos.disturbed(KINDS)
    chaos.check_ledger()
    assert not chaos.problems
    assert [kill.kind for kill in chaos.kills] == KINDS
    if reasons := other_arithmetic():
        pytest.skip(f"the golden tables are of other arithmetic: {reasons}")
    check_tables("search", read_results(chaos.results))

from pathlib import Path

import pytest

from tests.chaos.form import Form
from tests.chaos.harness import Chaos
from tests.gate import Gate

pytestmark = pytest.mark.cluster
KINDS = ["worker", "coordinator", "trial", "head"]


def test_a_study_that_is_killed_in_every_part_ends_with_the_same_table(tmp_path: Path) -> None:
    """Each process trains two epochs and waits for its end; the last ones train the rest.

    Without a cluster, in one process, the study gives the table that it is compared with.
    """
    chaos = Chaos(tmp_path, Form(trials=2, epochs=6), seed=1, gate=Gate(tmp_path, epochs=2))
    chaos.alone()
    chaos.disturbed(KINDS)
    chaos.check_results()
    assert not chaos.problems
    assert [kill.kind for kill in chaos.kills] == KINDS

from pathlib import Path

from tests.chaos.harness import Chaos


def test_a_study_that_is_killed_in_every_part_ends_with_the_same_table(tmp_path: Path) -> None:
    chaos = Chaos(tmp_path, trials=1, epochs=30, seed=1)
    chaos.undisturbed()
    chaos.disturbed(["worker", "trial", "head"])
    chaos.check_results()
    assert not chaos.problems
    assert [kill.kind for kill in chaos.kills] == ["worker", "trial", "head"]

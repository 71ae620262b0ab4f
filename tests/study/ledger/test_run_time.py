from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.ledger.ledger import DamagedError, Ledger
from study.ledger.run_time import FILE, SAVE_SECONDS, RunTime, copy_run_time, stored_seconds
from study.storage.folder import Folder, LocalFolder


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.tuples(st.floats(0, 1e4), st.booleans()), max_size=5))
def test_runs_count_on_from_what_was_written_last(
    tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[float, bool]]
) -> None:
    """Each run lasts some time, looked at every second; some are killed, and lose a minute at most.

    Clocks of processes begin anywhere.
    """
    ledger = Ledger(LocalFolder(tmp_path_factory.mktemp("runs")))
    truth = lost = 0.0
    for number, (seconds, is_killed) in enumerate(runs):
        clock = Clock(1000.0 * number)
        run = RunTime(ledger, clock)
        for _ in range(int(seconds // 50)):
            clock.now += 50
            run.save_if_due()
        clock.now = 1000.0 * number + seconds
        if is_killed:
            lost += SAVE_SECONDS + 50
        else:
            run.save()
        truth += seconds
        assert truth - lost - 0.01 <= run.seconds() <= truth + 0.01
    assert truth - lost - 0.01 <= stored_seconds(ledger) <= truth + 0.01


def test_a_replay_counts_on_from_the_hours_of_the_other_and_keeps_its_own(folder: Folder) -> None:
    other, own = (Ledger(folder.folder(name)) for name in ("other", "own"))
    copy_run_time(other, own)
    assert stored_seconds(own) == 0.0
    clock = Clock(0.0)
    run = RunTime(other, clock)
    clock.now = 90.0
    run.save()
    for expected in (90.0, 90.0):
        copy_run_time(other, own)
        assert stored_seconds(own) == expected
        clock.now += 5
        run.save()


def test_a_damaged_time_is_named(tmp_path: Path) -> None:
    ledger = Ledger(LocalFolder(tmp_path))
    RunTime(ledger).save()
    ledger.folder.write(FILE, ledger.folder.read(FILE)[:-1])
    with pytest.raises(DamagedError, match="run_time is not what was written"):
        RunTime(ledger)

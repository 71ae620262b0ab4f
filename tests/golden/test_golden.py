"""Studies give the numbers that they gave before, byte for byte.

`python -m tests.golden --make` writes the goldens anew, where numbers change on purpose. That a
search gives its own, on a cluster of which every part is killed, is shown in `tests/chaos`.
"""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.golden.studies import FOLDER, check_tables, other_arithmetic, serial


@pytest.mark.slow
def test_a_study_of_systems_gives_its_golden_tables(tmp_path: Path) -> None:
    """In one process; the search shows that a cluster gives the same."""
    made = serial(tmp_path)
    try:
        check_tables("systems", made)
    except AssertionError:
        if reasons := other_arithmetic():
            pytest.skip(f"the golden tables are of other arithmetic: {reasons}")
        raise


def test_the_goldens_hold_what_a_change_could_break() -> None:
    """Trials that were stopped early, rows without numbers, measures, a second protocol."""
    trials = pq.read_table(FOLDER / "search/ended.parquet")["state"].to_pylist()
    assert {"completed", "pruned"} == set(trials)
    scores = pq.read_table(FOLDER / "systems/scores.parquet").to_pandas()
    assert set(scores["protocol"]) == {"paper", "inter_patient"}
    assert 0 < (scores["note"] != "").sum() < len(scores) / 2
    measures = pq.read_table(FOLDER / "systems/measures.parquet").to_pandas()
    assert measures.filter(like="tstr").notna().any(axis=None)

"""`python -m study.report`, as it is called."""

import pytest

from study.errors import StudyFailedError
from study.ledger import fold_files
from study.report.__main__ import report
from tests.study.report.conftest import DrawnLedger


@pytest.mark.parametrize("name", [fold_files.WEIGHTS, fold_files.HISTORY])
def test_a_flipped_byte_is_found_in_files_that_no_table_is_made_of(
    name: str, drawn: DrawnLedger
) -> None:
    drawn.commit(0)
    drawn.write_facts()
    path = f"ledger/trial-00000/fold-1/{name}"
    content = bytearray(drawn.results.read(path))
    content[9] ^= 1
    drawn.results.write(path, bytes(content))
    with pytest.raises(StudyFailedError, match=f"{name} is not what was committed.*run the study"):
        report(drawn.results.locate())
    assert not drawn.results.exists("scores.parquet")

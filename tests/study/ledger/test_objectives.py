"""A trial's objectives are read off its folds' files."""

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from study.ledger.fold_contents import history_file, json_file
from study.ledger.fold_files import HISTORY, TIMINGS, WEIGHTS
from study.ledger.ledger import FoldManifest, Ledger
from study.ledger.objectives import measured_objectives
from study.storage.folder import LocalFolder

WEIGHTS_FILE = safetensors.numpy.save({"a": np.zeros((2, 3)), "b": np.zeros(4)})


@pytest.mark.parametrize("timings", [{}, {"score_microseconds": 5.0}])
def test_a_search_that_improves_no_time_needs_none(
    timings: dict[str, float], tmp_path: Path
) -> None:
    ledger = Ledger(LocalFolder(tmp_path))
    folds = [
        ledger.commit_fold(
            FoldManifest("trial-00000", fold, "completed", "", 2, 3, {}),
            {
                HISTORY: history_file([{"epoch": e, "phi": (fold + e) / 10} for e in (1, 2, 3)]),
                TIMINGS: json_file(timings),
                WEIGHTS: WEIGHTS_FILE,
            },
        )
        for fold in range(2)
    ]
    names = ["phi", "parameters", "bytes", *(["microseconds"] if timings else [])]
    assert measured_objectives(ledger, folds, names) == pytest.approx(
        {"phi": 0.25, "parameters": 10, "bytes": len(WEIGHTS_FILE)}
        | ({"microseconds": 5.0} if timings else {})
    )

"""What is reported of folds in training, at the epochs that are reported."""

import numpy as np
import pytest

from study.ledger.ledger import FoldManifest
from study.report.epochs import KEYS, FoldHistory, epochs_table, measures_table

LAST = 24
MEASURED = range(2, LAST + 1, 2)
"""Epochs at which TSTR is measured."""
NAMES = ("tstr", "tstr_normals", "tstr_real", "tstr_normals_normalised")
VALUES = dict(zip(NAMES, np.random.default_rng(0).random((len(NAMES), LAST + 1)), strict=True))


def history(best_epoch: int) -> FoldHistory:
    """A fold with MMD and a norm at each epoch, and TSTR at every second."""
    rows = [
        {"epoch": epoch, "generation/mmd": epoch / 100, "latent/mean_norm": epoch / 10}
        | {f"generation/{n}": v[epoch] for n, v in VALUES.items() if epoch in MEASURED}
        for epoch in range(1, LAST + 1)
    ]
    manifest = FoldManifest("trial-00000", 0, "completed", "", best_epoch, LAST, {})
    return FoldHistory(dict.fromkeys(KEYS, "x"), manifest, rows)


@pytest.mark.parametrize("best_epoch", [1, 2, 7, 10, 15, 16])
def test_tstr_is_the_mean_of_up_to_five_measurements_up_to_the_epoch(best_epoch: int) -> None:
    best, last = measures_table([history(best_epoch)]).to_pylist()
    assert (best["epoch_rule"], last["epoch_rule"]) == ("best_validation", "last")
    for row, epoch in (best, best_epoch), (last, LAST):
        window = [at for at in MEASURED if at <= epoch][-5:]
        assert (row["epoch"], row["tstr_measurements"]) == (epoch, len(window))
        for name, values in VALUES.items():
            assert row[name] == (pytest.approx(np.mean(values[window])) if window else None)
        assert (row["mmd"], row["latent_mean_norm"]) == (epoch / 100, epoch / 10)


def test_every_epoch_of_every_fold_has_a_row() -> None:
    frame = epochs_table([history(3), history(4)]).to_pandas()
    assert frame["epoch"].tolist() == [*range(1, LAST + 1)] * 2
    assert frame["generation/tstr"].notna().tolist() == [e in MEASURED for e in frame["epoch"]]

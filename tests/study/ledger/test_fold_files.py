"""Columns that folds came to have later, and that older ones are read without."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from study.data.samples import Samples
from study.data.settings import SplitSettings
from study.data.splits import make_splits
from study.ledger import fold_contents, fold_files
from study.ledger.fold_contents import Evaluation
from study.ledger.ledger import FoldManifest, Ledger
from study.storage.folder import LocalFolder

NAMES = ("reconstruction_error", "latent_norm")


@pytest.mark.parametrize("added", [(), ("drawn_norm",)])
@pytest.mark.parametrize("rate_hz", [0.0, 125.0])
def test_folds_are_read_with_and_without_what_came_later(
    tmp_path: Path, tiny_samples: Callable[..., Samples], added: tuple[str, ...], rate_hz: float
) -> None:
    samples = replace(tiny_samples(40, 24), sampling_rate_hz=rate_hz)
    fold = make_splits(samples, SplitSettings(folds=1), 0).folds[0]
    random = np.random.default_rng(0)
    parts = [fold.training, fold.validation, fold.test]
    drawn = [{n: random.random(len(m)).astype(np.float32) for n in NAMES + added} for m in parts]
    evaluations = dict.fromkeys(fold_files.EPOCH_RULES, Evaluation(*drawn))
    files = {
        fold_files.COMPONENTS: fold_contents.components_file(samples, fold, evaluations),
        fold_files.TRAINING_COMPONENTS: fold_contents.training_components_file(fold, evaluations),
    }
    ledger = Ledger(LocalFolder(tmp_path))
    manifest = ledger.commit_fold(FoldManifest("trial-00000", 0, "completed", "", 1, 1, {}), files)
    errors = fold_files.read_errors(ledger, manifest, (*NAMES, "drawn_norm"), 3)["last"]
    for split, values in zip((errors.training, errors.validation, errors.test), drawn, strict=True):
        assert set(split.values) == set(values)
        np.testing.assert_array_equal(split.values["latent_norm"], values["latent_norm"])
    known = fold_files.read_test_samples(ledger, manifest)
    assert known.record.tolist() == samples.record[fold.test].tolist()
    assert len(known.seconds) == len(fold.test)
    if not rate_hz:
        assert np.isnan(known.seconds).all()

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from study.data.samples import Samples
from study.ledger import fold_files
from tests.study.training.bench import Bench


def test_a_fold_that_cannot_be_scored_where_it_is_stopped_has_failed(
    bench: Callable[..., Bench],
) -> None:
    clean = bench("clean")
    run = bench("bad", samples=spoiled(clean.samples, clean.fold.test[:1]), rungs=(2,))
    manifest = run.run(ends_at=2)
    assert manifest.state == "failed"
    assert [(r.epoch, r.state) for r in run.reports] == [
        (2, "running"),
        (2, "failed"),
    ]
    assert math.isnan(run.reports[1].value)
    reports = run.reports
    assert run.run(ends_at=2) == manifest
    assert [(r.epoch, r.state) for r in run.reports] == [(r.epoch, r.state) for r in reports]


def spoiled(samples: Samples, members: np.ndarray) -> Samples:
    values = samples.values.copy()
    values[members] = np.nan
    return replace(samples, values=values)


@pytest.mark.parametrize("part", ["training", "validation", "test"])
def test_what_is_not_finite_fails_the_fold_with_a_reason(
    part: str, bench: Callable[..., Bench]
) -> None:
    clean = bench("clean")
    run = bench("bad", samples=spoiled(clean.samples, getattr(clean.fold, part)[:1]))
    manifest = run.run()
    assert manifest.state == "failed"
    assert "nan" in manifest.reason or "not finite" in manifest.reason
    assert [r.epoch for r in run.reports] == [2, 4]
    failed_from = {"training": 2, "validation": 2, "test": 4}[part]
    for report in run.reports:
        assert report.state == ("failed" if report.epoch >= failed_from else "running")
        assert bool(report.reason) == (report.state == "failed")
        assert math.isnan(report.value) == (report.state == "failed")
    assert fold_files.COMPONENTS not in manifest.files
    assert len(run.frame(manifest, fold_files.HISTORY)) == manifest.last_epoch
    assert not run.checkpoints.exists("")


@pytest.mark.parametrize(
    ("part", "rungs"),
    [
        ("training", ()),
        ("validation", ()),
        ("test", ()),
        ("test", (2,)),
    ],
)
def test_a_failed_fold_says_the_same_when_it_is_asked_again(
    part: str, rungs: tuple[int, ...], bench: Callable[..., Bench]
) -> None:
    clean = bench("clean")
    samples = spoiled(clean.samples, getattr(clean.fold, part)[:1])
    run = bench("bad", samples=samples, rungs=rungs)
    manifest = run.run()
    reports = [(r.epoch, r.state, r.reason) for r in run.reports]
    assert run.run() == manifest
    assert [(r.epoch, r.state, r.reason) for r in run.reports] == reports


def test_a_loss_beyond_all_numbers_fails_the_fold(bench: Callable[..., Bench]) -> None:
    run = bench(model={"beta": 1e300})
    manifest = run.run()
    assert manifest.state == "failed"
    assert [r.epoch for r in run.reports] == [2, 4]
    assert run.reports[-1].state == "failed"

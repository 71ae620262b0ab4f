"""What a study is refused for before it trains, and what it is warned of."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

from study.config.schema import MetricSettings, Study
from study.config.study_file import check_study
from study.data.samples import Samples
from study.data.splits import splits_by_protocol
from study.data.variants import Variants
from study.errors import RequestError
from study.ledger.study_folder import SplitFacts
from study.scores.settings import METRIC_NAMES
from study.training.prepared import Prepared, prepare


def own(folder: Path, normal: int, abnormal: int, **parts: Any) -> Study:
    random = np.random.default_rng(0)
    state = np.repeat(["ok", "hot"], [normal, abnormal])
    np.savez(folder / "own.npz", X=random.normal(size=(normal + abnormal, 50)), state=state)
    dataset = {"name": "table", "path": "own.npz", "label": "state", "normal_labels": ["ok"]}
    content = {
        "name": "own",
        "dataset": dataset | {"length": 64},
        "split": {"folds": 2},
        "model": {"name": "beta_vaegan"},
        "training": {"epochs": 3, "batch_size": 32},
    }
    return check_study(content | parts, "own.yaml")


def test_a_metric_of_labels_needs_abnormal_samples(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"search\.metric\.score: f1_weighted .*normal_err"):
        prepare(own(tmp_path, 100, 0), tmp_path / "data", tmp_path)
    metric = {"composition": "svm_lambda", "score": "normal_error"}
    with pytest.raises(RequestError, match="composition: svm_lambda is fitted to abnormal samples"):
        prepare(own(tmp_path, 100, 0, search={"metric": metric}), tmp_path / "data", tmp_path)
    metric = {"composition": "reconstruction_quantile", "score": "normal_error"}
    study = own(tmp_path, 100, 0, search={"metric": metric})
    prepared = prepare(study, tmp_path / "data", tmp_path)
    assert not prepared.samples.label.any()
    assert "no test sample is abnormal: there will be no F1" in " ".join(prepared.warnings(study))


def test_each_system_without_labels_is_named(tmp_path: Path) -> None:
    systems = {"one": {"model": {"name": "pca"}}, "two": {"model": {"name": "ae"}}}
    content = own(tmp_path, 100, 0).model_dump(mode="json", include={"name", "dataset"})
    search = {"metric": {"composition": "reconstruction"}}
    study = check_study(content | {"systems": systems, "search": search}, "own.yaml")
    with pytest.raises(RequestError) as raised:
        prepare(study, tmp_path / "data", tmp_path)
    assert [problem.partition(":")[0] for problem in raised.value.args] == [
        "systems.one.metric.score", "systems.two.metric.score",
    ]  # fmt: skip


def test_a_threshold_of_held_out_normals_needs_enough_of_them(tmp_path: Path) -> None:
    """Of n the largest is the threshold of quantile n / (n + 1), and there is none above."""
    metric = {"composition": "reconstruction_quantile", "score": "f1_weighted"}

    def prepared(quantile: float, **metrics: Any) -> Prepared:
        scores = {"quantile_of": "held_out", "quantile": quantile}
        study = own(tmp_path, 80, 40, scores=scores, search={"metric": metric | metrics})
        return prepare(study, tmp_path / "data", tmp_path)

    fold = prepared(0.5).splits["paper"].folds[0]
    normals = int((prepared(0.5).samples.label[fold.validation] == 0).sum())
    most = normals / (normals + 1)
    prepared(most)
    with pytest.raises(RequestError, match=rf"search\.metric\.composition: .* has {normals} under"):
        prepared(most + 0.001)
    prepared(most + 0.001, score="normal_error")
    prepared(most + 0.001, composition="reconstruction")


def test_few_updates_and_lengths_that_are_brought_to_another_are_said(tmp_path: Path) -> None:
    study = own(tmp_path, 200, 40)
    lines = list(prepare(study, tmp_path / "data", tmp_path).warnings(study))
    assert lines[0] == "rows of 50 values are brought to 64"
    # 170 of 200 normals train, in six batches of an epoch.
    assert "3 epochs of 170 samples are 18 updates of the weights" in lines[1]
    study = own(tmp_path, 200, 40, training={"epochs": 50, "batch_size": 32})
    assert len(list(prepare(study, tmp_path / "data", tmp_path).warnings(study))) == 1
    metric = {"composition": "outlier_score"}
    simple = {"model": {"name": "knn"}, "training": {"epochs": 1}}
    study = own(tmp_path, 200, 40, **simple, search={"metric": metric})
    assert len(list(prepare(study, tmp_path / "data", tmp_path).warnings(study))) == 1


@pytest.fixture
def prepared(tiny_samples: Callable[..., Samples], tiny_study: Callable[..., Study]) -> Prepared:
    samples, study = tiny_samples(60, 30), tiny_study()
    splits = splits_by_protocol(samples, study.split, 0)
    facts = {"paper": SplitFacts(splits["paper"].split_hash, ())}
    return Prepared(Variants((study.dataset,), (samples,)), splits, facts)


def test_a_constant_answer_has_a_value(prepared: Prepared) -> None:
    folds = prepared.splits["paper"].folds
    labels = [prepared.samples.label[fold.validation] for fold in folds]
    expected = np.mean(
        [
            max(
                f1_score(label, np.full(len(label), answer), average="weighted", zero_division=0)
                for answer in (0, 1)
            )
            for label in labels
        ]
    )
    assert prepared.constant_value(MetricSettings(), "paper") == pytest.approx(expected)
    phi = prepared.constant_value(MetricSettings(score="phi"), "paper")
    area = prepared.constant_value(MetricSettings(score="auroc"), "paper")
    assert (phi, area) == (0.0, 0.5)
    assert prepared.constant_value(MetricSettings(score="normal_error"), "paper") is None


@pytest.mark.parametrize("score", METRIC_NAMES)
def test_no_metric_of_one_class_has_a_constant_answer_that_is_no_number(
    prepared: Prepared, score: str
) -> None:
    normal = replace(prepared.samples, label=np.zeros(len(prepared.samples), dtype=np.int8))
    variants = replace(prepared.variants, samples=(normal,))
    metric = MetricSettings(score=score)
    value = replace(prepared, variants=variants).constant_value(metric, "paper")
    assert value is None or np.isfinite(value)


def test_what_not_every_variant_has_is_said_and_what_variants_take(
    prepared: Prepared, tiny_study: Callable[..., Study]
) -> None:
    assert prepared.data_line == ""
    own = prepared.variants
    variants = Variants(own.settings * 3, own.samples * 3, left_out=1200)
    several = replace(prepared, variants=variants)
    lines = list(several.warnings(tiny_study()))
    assert "1,200 samples are left out, which not every variant of the dataset has" in lines
    size = 3 * prepared.samples.values.size * 4 / 1e6
    assert several.data_line == f"3 of the same 90 samples, {size:,.0f} MB in memory of each node"

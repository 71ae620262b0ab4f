from collections.abc import Callable
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.report.paper.published import PublishedKey, published_numbers
from study.report.paper.tables import (
    BEST_COMPOSITION,
    PAPER_COMPOSITION,
    SCHEMA,
    best_composition,
    composition_table,
    system_table,
    tstr_table,
)
from tests.study.report.paper.conftest import MODELS, MadeStudy

Made = Callable[..., MadeStudy]
MODELS_IN_ORDER = [
    "ae",
    "vae",
    "beatgan",
    "beatgan_plus",
    "vaegan_1",
    "vaegan_2",
    "vaegan_beta_1e-1",
    "beatgan_plus_batch_norm",
]


def only(table: pa.Table, **chosen: str) -> dict[str, Any]:
    (row,) = [r for r in table.to_pylist() if all(r[n] == v for n, v in chosen.items())]
    return row


def best_rows(made: MadeStudy, system: str) -> pd.DataFrame:
    frame = made.tables.scores.to_pandas()
    return frame[(frame["system"] == system) & (frame["epoch_rule"] == "best_validation")]


def test_table_1_is_the_mean_and_deviation_over_folds(made: Made) -> None:
    study = made()
    table = tstr_table(study.tables.measures, "mitbih")
    frame = study.tables.measures.to_pandas()
    frame = frame[frame["epoch_rule"] == "best_validation"]
    for system in ("ae", "vaegan_2"):
        values = frame[frame["system"] == system]["tstr_normals_normalised"]
        row = only(table, system=system, metric="tstr_normals_normalised")
        key = PublishedKey("I", "mitbih", system, "", "tstr_normals_normalised")
        paper = published_numbers()[key]
        assert row["ours"] == pytest.approx(sum(values) / 3)
        assert row["ours_std"] == pytest.approx(values.std(ddof=1))
        assert (row["published"], row["published_std"]) == (paper.mean, paper.deviation)
        assert row["difference"] == pytest.approx(row["ours"] - paper.mean)
        assert row["beyond_two_deviations"] == (abs(row["difference"]) > 2 * paper.deviation)
        assert (row["epochs"], row["folds"], row["measurements"]) == (8, 3, 3)
        assert (row["published_epochs"], row["published_folds"]) == (500, 5)
    assert table["system"].unique().to_pylist() == MODELS_IN_ORDER


def test_the_papers_tstr_is_of_normals_and_stands_beside_no_other(made: Made) -> None:
    table = tstr_table(made().tables.measures, "mitbih")
    for metric, has_published in (("tstr", False), ("tstr_normals", True)):
        row = only(table, system="vaegan_2", metric=metric)
        assert (row["published"] is not None) == has_published


def test_a_reading_of_a_system_stands_beside_the_papers_number(made: Made) -> None:
    tables = made(systems=["beatgan_plus", "beatgan_plus_mse", "vae_beta_1e-4"]).tables
    two = composition_table(tables.scores, tables.summary)
    three = system_table(tables.scores, tables.summary)
    assert only(two, system="beatgan_plus_mse", composition="svm_gamma")["published"] == 0.908
    cell = {"variant": PAPER_COMPOSITION, "metric": "phi"}
    assert only(three, system="beatgan_plus_mse", **cell)["published"] == 0.808
    rows = three.filter(pa.compute.equal(three["system"], "vae_beta_1e-4"))
    assert rows["published"].null_count == rows.num_rows > 0


def test_tstr_of_wafer_is_table_4(made: Made) -> None:
    table = tstr_table(made(dataset="wafer").tables.measures, "wafer")
    assert set(table["table"].to_pylist()) == {"IV"}
    assert only(table, system="beatgan", metric="tstr_normals")["published"] == 0.173


def test_without_tstr_there_is_no_table_1(made: Made) -> None:
    measures = made().tables.measures.drop_columns(["tstr", "tstr_normalised"])
    for nothing in (measures, pa.table({})):
        assert tstr_table(nothing, "mitbih").num_rows == 0
        assert tstr_table(nothing, "mitbih").schema == SCHEMA


def test_folds_without_tstr_do_not_count(made: Made) -> None:
    frame = made().tables.measures.to_pandas()
    frame.loc[(frame["system"] == "ae") & (frame["fold"] > 0), "tstr_normals"] = None
    frame.loc[frame["system"] == "vae", "tstr_normals"] = None
    table = tstr_table(pa.Table.from_pandas(frame), "mitbih")
    row = only(table, system="ae", metric="tstr_normals")
    assert (row["folds"], row["ours_std"]) == (1, None)
    assert row["beyond_two_deviations"] is not None
    assert (
        "vae"
        not in table.filter(pa.compute.equal(table["metric"], "tstr_normals"))["system"].to_pylist()
    )


def test_table_2_has_means_and_deviations_beside_the_papers(made: Made) -> None:
    study = made()
    table = composition_table(study.tables.scores, study.tables.summary)
    assert table.num_rows == 16
    for system in ("beatgan", "vaegan_2"):
        rows = best_rows(study, system)
        for composition in ("reconstruction", "lambda_grid", "svm_lambda", "svm_gamma"):
            form = "implicit" if composition == "svm_gamma" else ""
            values = rows[(rows["composition"] == composition) & (rows["latent_form"] == form)]
            found = only(table, system=system, composition=composition)
            assert found["ours"] == pytest.approx(values["f1_weighted"].mean())
            assert found["ours_std"] == pytest.approx(values["f1_weighted"].std())
            assert found["latent_form"] == form
            key = PublishedKey("II", "mitbih", system, composition, "f1_weighted")
            assert found["published"] == published_numbers()[key].mean


def test_a_cell_without_our_number_has_no_difference(made: Made) -> None:
    tables = made(systems=["vaegan_2"]).tables
    rows = pa.compute.equal(tables.summary["composition"], "svm_lambda")
    summary = tables.summary.filter(pa.compute.invert(rows))
    row = only(composition_table(tables.scores, summary), composition="svm_lambda")
    assert row["published"] == 0.920
    assert [row[n] for n in ("ours", "ours_std", "difference", "folds")] == [None] * 4
    assert row["beyond_two_deviations"] is None


def test_table_3_takes_the_papers_composition_and_our_best_by_validation(made: Made) -> None:
    study = made(dataset="wafer")
    table = system_table(study.tables.scores, study.tables.summary)
    for system in MODELS:
        rows = best_rows(study, system)
        means = {
            key: part["validation_f1_weighted"].mean()
            for key, part in rows.groupby(["composition", "latent_form"])
        }
        row = only(table, system=system, variant=BEST_COMPOSITION, metric="phi")
        assert (row["composition"], row["latent_form"]) == max(means, key=lambda key: means[key])
    papers = {"ae": "reconstruction", "vae": "reconstruction", "beatgan": "reconstruction"}
    papers |= {"beatgan_plus": "svm_gamma", "vaegan_1": "lambda_grid", "vaegan_2": "svm_gamma"}
    found = [r for r in table.to_pylist() if r["variant"] == PAPER_COMPOSITION]
    assert {r["system"]: r["composition"] for r in found} == papers
    assert {r["metric"] for r in found} == {"f1_weighted", "phi", "auroc_labels", "auroc"}


def test_the_papers_auroc_is_held_against_that_of_labels(made: Made) -> None:
    study = made()
    table = system_table(study.tables.scores, study.tables.summary)
    for variant in (PAPER_COMPOSITION, BEST_COMPOSITION):
        cell = {"system": "vaegan_2", "variant": variant}
        labels, continuous = (only(table, **cell, metric=m) for m in ("auroc_labels", "auroc"))
        assert labels["published"] == 0.918
        assert labels["difference"] == pytest.approx(labels["ours"] - 0.918)
        assert continuous["published"] is None
        assert continuous["published_epochs"] is None
        assert continuous["ours"] is not None
    assert only(table, system="pca", metric="f1_weighted")["published"] is None


def test_a_dataset_that_the_paper_does_not_have_has_only_our_numbers(made: Made) -> None:
    tables = made(dataset="synthetic").tables
    for table in (
        tstr_table(tables.measures, "synthetic"),
        composition_table(tables.scores, tables.summary),
        system_table(tables.scores, tables.summary),
    ):
        assert table["published"].null_count == table.num_rows > 0
        assert PAPER_COMPOSITION not in table["variant"].to_pylist()


def test_each_protocol_has_its_rows(made: Made) -> None:
    tables = made(protocols=("paper", "inter_patient"), systems=["vaegan_2"]).tables
    table = composition_table(tables.scores, tables.summary)
    ours = {
        protocol: only(table, protocol=protocol, composition="svm_lambda")["ours"]
        for protocol in ("paper", "inter_patient")
    }
    frame = tables.scores.to_pandas()
    for protocol, value in ours.items():
        rows = frame[(frame["protocol"] == protocol) & (frame["composition"] == "svm_lambda")]
        rows = rows[rows["epoch_rule"] == "best_validation"]
        assert value == pytest.approx(rows["f1_weighted"].mean())


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.floats(0, 1))),
        min_size=1,
        max_size=12,
    )
)
def test_the_best_composition_has_the_largest_mean_among_those_defined_in_all_folds(
    drawn: list[tuple[str, float | None]],
) -> None:
    frame = pd.DataFrame(drawn, columns=["composition", "validation_f1_weighted"])
    frame["validation_f1_weighted"] = frame["validation_f1_weighted"].astype(float)
    frame["latent_form"], frame["epoch_rule"] = "", "best_validation"
    values: dict[str, list[float | None]] = {}
    for name, value in drawn:
        values.setdefault(name, []).append(value)
    means = {
        name: sum(v for v in found if v is not None) / len(found)
        for name, found in values.items()
        if None not in found
    }
    best = best_composition(frame)
    if best is None:
        assert not means
    else:
        assert means[best[0]] == pytest.approx(max(means.values()))

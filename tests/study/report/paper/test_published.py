import math

import pytest

from models import MODELS
from study.report.paper.names import COMPOSITIONS, SYSTEMS
from study.report.paper.published import (
    Published,
    PublishedKey,
    best_composition_published,
    published_numbers,
)

SYSTEMS_2 = ("beatgan", "beatgan_plus", "vaegan_1", "vaegan_2")
TABLE_2 = {
    "reconstruction": "0.854/0.727 0.899/0.972 0.905/0.980 0.909/0.983",
    "lambda_grid": "0.853/0.709 0.899/0.980 0.905/0.980 0.909/0.984",
    "svm_lambda": "0.856/0.570 0.906/0.980 0.915/0.979 0.920/0.984",
    "svm_gamma": "0.878/0.715 0.908/0.982 0.914/0.980 0.919/0.986",
}
TABLE_3 = {
    "mitbih": {
        "ae": (0.902, 0.796, 0.900),
        "vae": (0.883, 0.757, 0.883),
        "beatgan": (0.878, 0.746, 0.862),
        "beatgan_plus": (0.908, 0.808, 0.897),
        "vaegan_1": (0.915, 0.822, 0.908),
        "vaegan_2": (0.920, 0.832, 0.918),
    },
    "wafer": {
        "ae": (0.978, 0.951, 0.982),
        "vae": (0.957, 0.905, 0.964),
        "beatgan": (0.727, 0.378, 0.613),
        "beatgan_plus": (0.982, 0.956, 0.984),
        "vaegan_1": (0.980, 0.950, 0.978),
        "vaegan_2": (0.986, 0.964, 0.980),
    },
}
TSTR = {
    ("I", "mitbih"): "0.869 0.738 0.881 0.929 0.881 0.872 / 0.885 0.754 0.900 0.951 0.907 0.891",
    ("IV", "wafer"): "0.994 0.982 0.173 0.995 0.995 0.996 / 0.999 0.988 0.175 1.000 1.000 1.000",
}


def number(*place: str) -> Published:
    return published_numbers()[PublishedKey(*place)]


@pytest.mark.parametrize("composition", TABLE_2)
def test_table_2_is_the_papers(composition: str) -> None:
    for system, pair in zip(SYSTEMS_2, TABLE_2[composition].split(), strict=True):
        for dataset, said in zip(("mitbih", "wafer"), pair.split("/"), strict=True):
            assert number("II", dataset, system, composition, "f1_weighted").mean == float(said)


@pytest.mark.parametrize("dataset", TABLE_3)
def test_table_3_is_the_papers(dataset: str) -> None:
    for system, said in TABLE_3[dataset].items():
        composition = best_composition_published(dataset, system)
        assert composition is not None
        for metric, value in zip(("f1_weighted", "phi", "auroc_labels"), said, strict=True):
            assert number("III", dataset, system, composition, metric).mean == value


@pytest.mark.parametrize(("table", "dataset"), TSTR)
def test_tstr_is_the_papers(table: str, dataset: str) -> None:
    for metric, said in zip(
        ("tstr_normals", "tstr_normals_normalised"), TSTR[table, dataset].split(" / "), strict=True
    ):
        for system, value in zip(list(SYSTEMS)[:6], said.split(), strict=True):
            assert number(table, dataset, system, "", metric).mean == float(value)


def test_every_number_of_the_papers_tables_is_there_once() -> None:
    counts: dict[str, int] = {}
    for place in published_numbers():
        counts[place.table] = counts.get(place.table, 0) + 1
    assert counts == {"I": 12, "II": 32, "III": 36, "IV": 12, "Fig. 4": 2}


def test_deviations_are_the_papers() -> None:
    # Sums by hand over the columns of the paper's tables.
    sums: dict[tuple[str, str], float] = {}
    for place, found in published_numbers().items():
        key = (place.table, place.dataset)
        sums[key] = sums.get(key, 0) + (found.deviation or 0)
    assert sums == pytest.approx(
        {
            ("I", "mitbih"): 0.212 + 0.215,
            ("II", "mitbih"): 0.009 + 0.010 + 0.012 + 0.014,
            ("II", "wafer"): 0.102 + 0.088 + 0.126 + 0.090,
            ("III", "mitbih"): 0.012 + 0.023 + 0.022 + 0.010 + 0.007 + 0.013,
            ("III", "wafer"): 0.013 + 0.053 + 0.363 + 0.017 + 0.026 + 0.041,
            ("IV", "wafer"): 0.017 + 0.015,
            ("Fig. 4", "mitbih"): 0,
        }
    )


def test_table_3_repeats_the_f1_of_table_2() -> None:
    for place, found in published_numbers().items():
        if place.table == "III" and place.metric == "f1_weighted" and place.system in SYSTEMS_2:
            second = PublishedKey(
                "II", place.dataset, place.system, place.composition, place.metric
            )
            assert published_numbers()[second] == found


def test_the_chi_fit_is_the_papers() -> None:
    ks, p = (number("Fig. 4", "mitbih", "vaegan_beta_1e-1", "", m) for m in ("chi_ks", "chi_p"))
    assert (ks.mean, p.mean) == (0.0029, 0.89)
    assert ks.deviation is None
    # A p of 0.89 at this distance takes tens of thousands of samples, as MIT-BIH has.
    assert 0.0029 * math.sqrt(76_000) == pytest.approx(0.8, abs=0.1)


def test_names_are_those_of_studies() -> None:
    for place in published_numbers():
        assert place.system in SYSTEMS
        assert place.composition in {"", *COMPOSITIONS}
    assert {"ae", "vae", "beatgan", "beatgan_plus"} <= set(MODELS)
    assert best_composition_published("mitbih", "pca") is None
    assert best_composition_published("synthetic", "ae") is None

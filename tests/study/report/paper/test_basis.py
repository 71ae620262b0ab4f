from collections.abc import Callable
from dataclasses import replace

import pyarrow as pa
import pytest

from study.report.paper.basis import Basis, basis_of, footer, protocol_note
from tests.study.report.paper.conftest import MadeStudy

WHOLE = Basis("mitbih", "paper", (500, 500), (0, 1, 2, 3, 4), 5)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({}, "MIT-BIH; protocol paper; 5 folds; 500 epochs (the paper: 500)."),
        (
            {"epochs": (40, 40)},
            "MIT-BIH; protocol paper; 5 folds; 40 of the paper's 500 epochs.",
        ),
        (
            {"epochs": (30, 500), "folds": (0,), "dataset": "wafer"},
            "Wafer; protocol paper; fold 0 of folds 0 to 4; 30 to 500 of the paper's 500 epochs.",
        ),
        (
            {"epochs": None, "folds": (0,), "num_folds": 1, "protocol": "kfold"},
            "MIT-BIH; protocol kfold; 1 fold (the paper: 5).",
        ),
        (
            {"epochs": (600, 600), "folds": (0, 1), "limit": 2000},
            "MIT-BIH; a random subset of 2,000 samples; protocol paper; folds 0 and 1 of folds"
            " 0 to 4; 600 epochs (the paper: 500).",
        ),
        (
            {"window": "centred", "amplitude": "first_minutes"},
            "MIT-BIH; centred windows; values relative to the first minutes; protocol paper;"
            " 5 folds; 500 epochs (the paper: 500).",
        ),
    ],
)
def test_a_footer_says_what_is_behind_a_picture(change: dict[str, object], text: str) -> None:
    assert footer(replace(WHOLE, **change)) == text  # type: ignore[arg-type]


def test_notes_come_last_and_empty_ones_not() -> None:
    assert footer(WHOLE, "", "one", "two").endswith("(the paper: 500); one; two.")
    assert protocol_note(WHOLE) == ""
    assert "protocol paper" in protocol_note(replace(WHOLE, protocol="kfold"))
    assert protocol_note(replace(WHOLE, protocol="kfold", window="centred")) == (
        "the paper's numbers are of protocol paper and of windows from R on, scaled beat by beat"
    )


def test_the_basis_is_read_from_scores(made: Callable[..., MadeStudy]) -> None:
    scores = made(folds=3, epochs=7).tables.scores
    limit = pa.array([2000] * scores.num_rows)
    assert basis_of(scores, "paper", ["vaegan_2", "pca"]) == Basis(
        "mitbih", "paper", (7, 7), (0, 1, 2), 3
    )
    of_one = basis_of(scores.append_column("param.dataset.limit", limit), "paper", ["ae"], [0])
    assert (of_one.folds, of_one.num_folds, of_one.limit) == ((0,), 3, 2000)
    assert (of_one.window, of_one.amplitude) == (None, None)
    window = pa.array(["centred"] * scores.num_rows)
    of_windows = basis_of(
        scores.append_column("param.dataset.window.name", window), "paper", ["ae"]
    )
    assert of_windows.window == "centred"


def test_what_is_fitted_once_has_no_epochs(made: Callable[..., MadeStudy]) -> None:
    assert basis_of(made().tables.scores, "paper", ["pca"]).epochs is None

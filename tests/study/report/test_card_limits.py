"""The sentences of a model card that say where the model fails, of tables made by hand."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from study.config.study_file import check_study
from study.ledger.answer import Answer
from study.ledger.study_folder import SplitFacts
from study.report.card_evidence import AT_PREVALENCE, Evidence
from study.report.card_limits import limits
from tests.study.trials import record_of, trial_of

FOLDS, SAMPLES, TRAINING = 4, 30, 100
OWN = {
    "trial": "trial-00000",
    "epoch_rule": "best_validation",
    "composition": "reconstruction",
    "latent_form": "",
}
NOTHING_SHARED = dict.fromkeys(
    (
        "test_records_in_training",
        "test_windows_overlapping_training",
        "test_duplicates_of_training",
    ),
    0,
)
NO_SIMPLE = "No simple model stands beside it: what one would reach on these folds is unknown."
SIMPLE = "the simple model `knn` on the same folds."
Rows = Sequence[Mapping[str, Any]]


def sentences(
    tables: Mapping[str, Rows] = {},
    scores: Mapping[str, Sequence[float]] = {},
    facts: SplitFacts | None = None,
    **parts: Any,
) -> list[str]:
    """Limits of a model whose F1 is 0.8 to 0.86, and 0.1 of a constant answer."""
    content = {
        "name": "made",
        "dataset": {"name": "wafer"},
        "split": {"folds": FOLDS},
        "model": {"name": "pca"},
        "search": {"metric": {"composition": "reconstruction"}},
    } | parts
    record = record_of(trial_of(check_study(content, "made.yaml")))
    columns = {"f1_weighted": [0.80, 0.82, 0.84, 0.86], "f1_weighted_constant": [0.1] * FOLDS}
    columns |= {name: [count] * FOLDS for name, count in NOTHING_SHARED.items()}
    frame = pd.DataFrame(columns | scores).assign(**OWN, num_samples=SAMPLES, num_training=TRAINING)
    made = {"scores": pa.Table.from_pandas(frame.rename_axis("fold").reset_index())}
    made |= {name: pa.Table.from_pylist(list(rows)) for name, rows in tables.items()}
    return list(limits(Evidence(Answer(record, "reconstruction", ""), made, facts)))


def stratum(kind: str, counts: Mapping[str, tuple[int, int, int, int]]) -> Rows:
    """Normal samples, false alarms, abnormal samples and hits, by value; folds alike."""
    names = ("normal", "false_alarms", "abnormal", "hits")
    return [
        {**OWN, "fold": fold, "stratum": kind, "value": value, "auroc": 0.5}
        | dict(zip(names, of_value, strict=True))
        for value, of_value in counts.items()
        for fold in range(FOLDS)
    ]


@pytest.mark.parametrize(
    ("f1", "constant", "expected"),
    [
        ([0.80, 0.82, 0.84, 0.86], 0.9, ["0.900: its decisions are no better."]),
        ([0.75] * 4, 0.75, ["0.750: its decisions are no better."]),
        ([0.80, 0.82, 0.84, 0.86], 0.8, ["0.800, which lies in its interval."]),
        ([0.80, 0.82, 0.84, 0.86], 0.7, []),
    ],
)
def test_a_constant_answer_is_named_unless_it_is_surely_worse(
    f1: list[float], constant: float, expected: list[str]
) -> None:
    made = sentences(scores={"f1_weighted": f1, "f1_weighted_constant": [constant] * FOLDS})
    start = "A constant answer has weighted F1 "
    assert [line.removeprefix(start) for line in made if line.startswith(start)] == expected


@pytest.mark.parametrize(
    ("difference", "over_units", "over_folds", "expected"),
    [
        (-0.1, 0.01, 0.9, [f"It is worse than {SIMPLE}"]),
        (0.1, 0.01, 0.9, []),
        (-0.1, 0.06, 0.01, [f"It is not told apart from {SIMPLE}"]),
        (0.1, 0.06, 0.01, [f"It is not told apart from {SIMPLE}"]),
        (-0.1, math.nan, 0.01, [f"It is worse than {SIMPLE}"]),
        (0.1, math.nan, math.nan, [f"It is not told apart from {SIMPLE}"]),
    ],
)
def test_a_simple_model_is_named_unless_it_is_surely_worse(
    difference: float, over_units: float, over_folds: float, expected: list[str]
) -> None:
    """Other comparisons, of which each would say the contrary, say nothing."""
    row = {"first_trial": "trial-00000", "second_system": "knn", "family": "best_simple"}
    row |= {"epoch_rule": "best_validation", "metric": "f1_weighted"}
    own = {"difference": difference, "unit_p_holm": over_units, "fold_p_holm": over_folds}
    sure = bool(expected) and "worse" in expected[0]
    contrary = {"difference": -0.2, "unit_p_holm": 0.9 if sure else 0.001, "fold_p_holm": 0.9}
    others = [
        {"first_trial": "trial-00001"},
        {"family": "paper"},
        {"epoch_rule": "last"},
        {"metric": "phi"},
    ]
    rows = [row | own, *(row | contrary | other for other in others)]
    made = sentences({"comparisons": rows})
    assert [line for line in made if "simple model" in line] == expected


def test_that_no_simple_model_was_tried_is_written() -> None:
    other = {"first_trial": "trial-00000", "family": "paper", "second_system": "knn"}
    other |= {"epoch_rule": "best_validation", "metric": "f1_weighted"}
    other |= {"difference": -0.1, "unit_p_holm": 0.01, "fold_p_holm": 0.01}
    simple = other | {"family": "best_simple", "first_trial": "trial-00001"}
    assert sentences()[0] == NO_SIMPLE
    assert sentences({"comparisons": [other]})[0] == NO_SIMPLE
    assert not any("simple" in line for line in sentences({"comparisons": [simple]}))


def test_the_classes_with_most_errors_are_named() -> None:
    kinds = {"A": (0, 0, 10, 9), "B": (0, 0, 10, 4), "C": (0, 0, 10, 7)}
    normal = {"N": (20, 1, 0, 0), "M": (20, 6, 0, 0), "O": (20, 4, 0, 0)}
    made = sentences({"strata": stratum("kind", kinds | normal)})
    assert any(line.startswith("Of class `B` it finds a share of 0.400 [") for line in made)
    assert any(
        line.startswith("Of the normal class `M` it calls a share of 0.300 [") for line in made
    )
    one = sentences({"strata": stratum("kind", kinds | {"N": (20, 1, 0, 0)})})
    assert not any(line.startswith("Of the normal class") for line in one)
    assert not any(line.startswith("Of class") for line in sentences())


def test_patients_with_many_false_alarms_or_misses_are_counted() -> None:
    """A tenth and a half are not more than that."""
    patients = {"p": (20, 3, 10, 4), "q": (20, 2, 10, 5), "r": (20, 6, 0, 0), "s": (0, 0, 10, 1)}
    made = sentences({"strata": stratum("patient", patients)})
    assert [line for line in made if "patients" in line] == [
        "It calls more than 10% of the normal samples abnormal in 2 of 3 patients; in `r` it is a"
        " share of 0.300.",
        "It misses more than half of the abnormal samples in 2 of 3 patients who have any.",
    ]
    good = sentences({"strata": stratum("patient", {"q": patients["q"]})})
    assert not any("patients" in line for line in good)


def test_precision_is_that_of_the_rarest_abnormal_samples() -> None:
    rows = [
        {**OWN, "fold": fold, "prevalence": share, "without_kind": kind, "own_prevalence": own}
        | {**dict.fromkeys(AT_PREVALENCE, 0.9), "precision": precision}
        | {"f1_weighted_constant": 0.5}
        for fold in range(FOLDS)
        for share, kind, own, precision in (
            (0.05, "", False, 0.6), (0.01, "", False, 0.2 + fold / 10),
            (0.01, "B", False, 0.7), (0.01, "", True, 0.8),
        )
    ]  # fmt: skip
    made = sentences({"prevalence": rows})
    assert [line for line in made if line.startswith("Where")] == [
        "Where 1% of the samples are abnormal, a share of 0.350 of its alarms is right."
    ]


def test_test_samples_that_are_known_from_training_are_counted() -> None:
    """Of 30 samples 3 or 6, and 3 in one fold of four."""
    counts = {
        "test_records_in_training": [3, 3, 6, 6],
        "test_duplicates_of_training": [3, 0, 0, 0],
    }
    made = sentences(scores=counts)
    assert [line for line in made if line.startswith("Of the test samples")] == [
        "Of the test samples 15.0% are of a record that trains, too: new ones may score worse.",
        "Of the test samples 2.5% are copies of one that trains: new ones may score worse.",
    ]
    (overlapping,) = (
        line
        for line in sentences(scores={"test_windows_overlapping_training": [30] * FOLDS})
        if line.startswith("Of the test samples")
    )
    assert "100.0% overlap in time with a sample that trains" in overlapping


@pytest.mark.parametrize(
    ("neighbours", "expected"),
    [
        ((10, 20, 30, 0), ["15.0%"]),
        ((0, 0, 0, 0), []),
        ((), []),
    ],
)
def test_training_windows_with_an_abnormal_neighbour_are_counted(
    neighbours: tuple[int, ...], expected: list[str]
) -> None:
    made = sentences(facts=SplitFacts("hash", (), neighbours))
    assert [line for line in made if "neighbour" in line] == [
        f"The windows of {share} of the training samples hold an abnormal neighbour."
        for share in expected
    ]


def test_samples_that_are_generated_few_or_of_one_fold_are_a_limit() -> None:
    generated = "The samples are generated: none of these numbers is evidence for real ones."
    subset = "It knows 1,200 samples of the dataset, a random subset."
    one_fold = "There is one fold: how far its numbers are chance is unknown."
    assert not {generated, subset, one_fold} & set(sentences())
    assert sentences(dataset={"name": "synthetic"})[-1] == generated
    assert sentences(dataset={"name": "wafer", "limit": 1200})[-1] == subset
    assert sentences(split={"folds": 1})[-1] == one_fold

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from study.ledger.fold_files import TestSamples as Samples
from study.report import strata
from study.report.strata import (
    CLINICAL_SCHEMA,
    PREVALENCE_SCHEMA,
    STRATA_SCHEMA,
    FoldDecisions,
    LeftOut,
    fold_details,
)
from study.scores.components import FoldErrors, SplitErrors
from study.scores.evaluation import evaluate_compositions
from study.scores.prevalence import PREVALENCES
from study.scores.settings import ScoreSettings

SETTINGS = ScoreSettings(lambda_steps=5, gamma_steps=4)
KEYS = ["epoch_rule", "composition", "latent_form"]
NOTHING = LeftOut()


def drawn_split(rng: np.random.Generator, normal: int, abnormal: int) -> SplitErrors:
    # The same samples whatever the errors are drawn from.
    label = np.random.default_rng(7).permutation(np.repeat([0, 1], [normal, abnormal]))
    names = ("reconstruction_error", "discrimination_error", "latent_norm")
    values = {name: rng.gamma(2.0 + 2 * label) for name in names}
    return SplitErrors(label.astype(np.int8), values)


def drawn_fold(seed: int) -> FoldErrors:
    rng = np.random.default_rng(seed)
    parts = [drawn_split(rng, *sizes) for sizes in ((60, 0), (40, 20), (50, 30))]
    return FoldErrors(*parts, latent_size=3)


def known_of(errors: FoldErrors) -> Samples:
    rng = np.random.default_rng(1)
    label = errors.test.label
    symbol = np.where(label == 0, "N", rng.choice(np.array(["V", "E", "/"]), len(label)))
    kind = np.where(symbol == "/", "Q", np.where(label == 0, "N", "V"))
    patient = rng.choice(np.array(["100", "201", "233"]), len(label))
    seconds = np.full(len(label), 0.8)
    return Samples(kind=kind, symbol=symbol, patient=patient, record=patient, seconds=seconds)


def decide(errors: FoldErrors) -> FoldDecisions:
    return {
        (each.row.composition, each.row.latent_form): each.decisions
        for each in evaluate_compositions(errors, SETTINGS)
        if each.decisions is not None
    }


@pytest.fixture(scope="module")
def errors() -> dict[str, FoldErrors]:
    return {"best_validation": drawn_fold(0), "last": drawn_fold(1)}


def details(errors: dict[str, FoldErrors], left_out: LeftOut = NOTHING) -> strata.FoldDetails:
    decisions = {rule: decide(found) for rule, found in errors.items()}
    return fold_details(decisions, known_of(errors["last"]), 3, left_out)


def test_every_composition_that_has_a_score_row_has_the_same_metrics_here(
    errors: dict[str, FoldErrors],
) -> None:
    found = details(errors).prevalence.to_pandas()
    own = found[found["own_prevalence"]].set_index(KEYS)
    rows = [
        (rule, each.row)
        for rule in errors
        for each in evaluate_compositions(errors[rule], SETTINGS)
    ]
    assert own.index.tolist() == [(rule, row.composition, row.latent_form) for rule, row in rows]
    for name in ("f1_weighted", "f1_anomaly", "precision", "recall", "phi", "auprc", "prevalence"):
        expected = [getattr(row, name) for _, row in rows]
        np.testing.assert_allclose(own[name], expected, rtol=1e-12, err_msg=name)


def test_the_tables_have_their_columns_and_a_row_per_value_and_prevalence(
    errors: dict[str, FoldErrors],
) -> None:
    found = details(errors, LeftOut(kinds=("Q",)))
    assert found.clinical.equals(CLINICAL_SCHEMA.empty_table())
    assert found.strata.schema.equals(STRATA_SCHEMA)
    assert found.prevalence.schema.equals(PREVALENCE_SCHEMA)
    counts, metrics = found.strata.to_pandas(), found.prevalence.to_pandas()
    assert set(counts["fold"]) == set(metrics["fold"]) == {3}
    values = [*("N", "Q", "V"), *("/", "E", "N", "V"), *("100", "201", "233")]
    for _, group in counts.groupby(KEYS, sort=False):
        assert group["value"].tolist() == values
        assert group["stratum"].tolist() == ["kind"] * 3 + ["symbol"] * 4 + ["patient"] * 3
    for _, group in metrics.groupby(KEYS, sort=False):
        assert group["without_kind"].tolist() == [""] * 5 + ["Q"] * 5
        assert group["own_prevalence"].tolist() == [share is None for share in PREVALENCES] * 2


def test_counts_of_a_class_are_those_of_its_test_samples(errors: dict[str, FoldErrors]) -> None:
    counts = details(errors).strata.to_pandas()
    test, known = errors["last"].test, known_of(errors["last"])
    counts = counts[(counts["composition"] == "reconstruction") & (counts["epoch_rule"] == "last")]
    (fitted,) = evaluate_compositions(errors["last"], SETTINGS, ["reconstruction"])
    validation = errors["last"].validation.values["reconstruction_error"]
    low, high = validation.min(), validation.max()
    called = (test.values["reconstruction_error"] - low) / (high - low) > fitted.row.tau
    frame = pd.DataFrame({"value": known.symbol, "label": test.label, "called": called})
    expected = frame[frame["label"] == 1].groupby("value")["called"].sum()
    found = counts[counts["stratum"] == "symbol"].set_index("value")["hits"]
    assert found.loc[expected.index].tolist() == expected.tolist()


def test_strata_of_which_nothing_is_known_have_no_rows(errors: dict[str, FoldErrors]) -> None:
    known = known_of(errors["last"])
    nothing = replace(known, patient=np.full(len(known.kind), ""))
    decisions = {"last": decide(errors["last"])}
    found = fold_details(decisions, nothing, 0).strata.to_pandas()
    assert set(found["stratum"]) == {"kind", "symbol"}


def test_heartbeats_have_a_row_per_record_and_class_with_and_without_a_record(
    errors: dict[str, FoldErrors],
) -> None:
    found = details(errors, LeftOut(records=("233",))).clinical
    assert found.schema.equals(CLINICAL_SCHEMA)
    known = known_of(errors["last"])
    for _, group in found.to_pandas().groupby(KEYS, sort=False):
        records = ["all", "without 233", "100", "201", "233"]
        assert group["records"].tolist() == [name for name in records for _ in range(3)]
        assert group["beat_class"].tolist() == ["VEB", "SVEB", "abnormal"] * 5
        beats = group[group["beat_class"] == "VEB"].set_index("records")["beats"]
        assert beats["all"] == (known.kind == "V").sum()
        assert beats["without 233"] == beats["all"] - beats["233"]
        assert group["hours"].iloc[0] == pytest.approx(80 * 0.8 / 3600)


def test_no_decisions_give_empty_tables_of_the_same_columns() -> None:
    known = known_of(drawn_fold(0))
    found = fold_details({"last": {}}, known, 0)
    assert found.strata.equals(STRATA_SCHEMA.empty_table())
    assert isinstance(found.prevalence, pa.Table)
    assert found.prevalence.equals(PREVALENCE_SCHEMA.empty_table())


def test_decisions_of_other_samples_are_refused(errors: dict[str, FoldErrors]) -> None:
    known = known_of(errors["last"])
    short = Samples(**{name: values[1:] for name, values in vars(known).items()})
    decisions = {"last": decide(errors["last"])}
    with pytest.raises(ValueError, match="last reconstruction decided 80 samples, there are 79"):
        fold_details(decisions, short, 0)

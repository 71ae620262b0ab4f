from typing import Any

import numpy as np
import pandas as pd
import pytest

from study.config.comparisons import ComparisonSettings
from study.report.contrasts import contrasts

BEST = "best_validation"


def entry(
    system: str, model: str, composition: str, validation: float, **kept: Any
) -> dict[str, Any]:
    known = {"study": "s", "dataset": "d", "protocol": "paper", "split_hash": "h"}
    known |= {"trial": f"trial of {system}", "system": system, "model": model, "epoch_rule": BEST}
    known |= {"composition": composition, "latent_form": "", "validation": validation}
    known |= {"of_metric": True}
    return {**known, "param.model.name": model, **kept}


def compared(rows: list[dict[str, Any]], *families: str, **named: Any) -> list[tuple[str, ...]]:
    """Family, and system or composition of the two."""
    frame = pd.DataFrame(rows)
    settings = ComparisonSettings.model_validate({"families": families, "named": named})
    found = contrasts(frame, settings)
    names = [row["system"] + ":" + row["composition"] for row in rows]
    return [(each.family, names[each.first], names[each.second]) for each in found]


NO_BETA = {"param.model.beta": 0.0}
ROWS = [
    entry("gan", "beta_vaegan", "reconstruction", 0.7, of_metric=False, **NO_BETA),
    entry("gan", "beta_vaegan", "svm_gamma", 0.6, **NO_BETA),
    entry("gan", "beta_vaegan", "svm_lambda", 0.9, of_metric=False, **NO_BETA),
    entry("vae_1e-4", "vae", "reconstruction", 0.8, **{"param.model.beta": 1e-4}),
    entry("vae", "vae", "reconstruction", 0.6, **NO_BETA),
    entry("knn", "knn", "outlier_score", 0.75, **{"param.model.neighbours": 5}),
    entry("forest", "isolation_forest", "outlier_score", 0.5),
    entry("forest", "isolation_forest", "outlier_score_quantile", 0.95, of_metric=False),
]


def test_each_system_is_compared_with_the_simple_one_that_is_best_on_validation() -> None:
    assert compared(ROWS, "best_simple") == [
        ("best_simple", f"{system}:{composition}", "knn:outlier_score")
        for system, composition in (
            ("gan", "svm_gamma"),
            ("vae_1e-4", "reconstruction"),
            ("vae", "reconstruction"),
            ("forest", "outlier_score"),
        )
    ]
    assert compared(ROWS[:5], "best_simple") == []


def test_an_adversarial_system_is_compared_with_its_generator_of_the_same_settings() -> None:
    pair = ("generator_alone", "gan:svm_gamma", "vae:reconstruction")
    assert compared(ROWS, "generator_alone") == [pair]
    assert compared(ROWS[:4], "generator_alone") == []


def test_each_composition_is_compared_with_r_alone() -> None:
    assert compared(ROWS, "reconstruction") == [
        ("reconstruction", f"gan:{composition}", "gan:reconstruction")
        for composition in ("svm_gamma", "svm_lambda")
    ]


def test_compositions_of_one_trial_are_corrected_together_and_apart_from_others() -> None:
    rows = [
        entry(system, "vae", composition, 0.5, of_metric=composition == "reconstruction")
        for system in ("a", "b")
        for composition in ("reconstruction", "latent", "svm_linear")
    ]
    found = contrasts(pd.DataFrame(rows), ComparisonSettings(families=("reconstruction",)))
    assert len({each.corrected for each in found[:2]}) == 1
    assert len({each.corrected for each in found}) == 2
    for family in ("all_systems", "best_simple"):
        settings = ComparisonSettings(families=(family,))
        assert len({each.corrected for each in contrasts(pd.DataFrame(ROWS), settings)}) == 1


def test_all_systems_are_compared_by_their_metrics_whatever_others_have_on_validation() -> None:
    found = compared(ROWS, "all_systems")
    assert len(found) == 10
    assert ("all_systems", "gan:svm_gamma", "knn:outlier_score") in found
    assert ("all_systems", "gan:svm_gamma", "forest:outlier_score") in found


def test_pairs_that_a_study_names_are_a_family_of_their_own() -> None:
    named = {"mine": [("vae", "gan"), ("gan", "knn"), ("gan", "no_such")]}
    assert compared(ROWS, **named) == [
        ("mine", "vae:reconstruction", "gan:svm_gamma"),
        ("mine", "gan:svm_gamma", "knn:outlier_score"),
    ]


@pytest.mark.parametrize("what", ["protocol", "split_hash", "dataset", "epoch_rule"])
def test_systems_of_other_folds_or_weights_are_not_compared(what: str) -> None:
    rows = [row | {what: row[what] + row["system"]} for row in ROWS]
    assert compared(rows, "best_simple", "generator_alone", "all_systems") == []


def test_a_system_whose_metric_has_no_numbers_is_not_compared() -> None:
    rows = [
        row | {"validation": np.nan} if row["composition"] == "svm_gamma" else row for row in ROWS
    ]
    assert compared(rows, "generator_alone") == []
    assert len(compared(rows, "all_systems")) == 6


def test_trials_of_a_search_are_compared_by_composition_alone() -> None:
    rows = [row | {"system": "", "trial": row["trial"]} for row in ROWS]
    families = ("best_simple", "generator_alone", "reconstruction", "all_systems")
    assert {family for family, *_ in compared(rows, *families)} == {"reconstruction"}

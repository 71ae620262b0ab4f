import itertools
import math
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.report.protocols import COMPARED_METRICS, SCHEMA, protocol_differences

DECIDED = ("epoch_rule", "composition", "latent_form")


def row(trial: str, protocol: str = "paper", **kept: Any) -> dict[str, Any]:
    known: dict[str, Any] = {"system": "", "dataset": "mitbih", "model": "vae"}
    known |= {"protocol": protocol, "trial": trial}
    known |= {"epoch_rule": "last", "composition": "reconstruction", "latent_form": ""}
    known |= {f"{metric}_mean": 0.5 for metric in COMPARED_METRICS}
    settings = {"param.model.beta": 0.5, "param.split.protocol": protocol}
    return {**known, **settings, "param.split.beside": [], **kept}


def differences(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = protocol_differences(pa.Table.from_pylist(rows))
    assert found.schema.equals(SCHEMA)
    rows_found: list[dict[str, Any]] = found.to_pylist()
    return rows_found


def test_the_difference_is_what_knowing_the_patient_is_worth() -> None:
    rows = [
        row("a", system="VAE", f1_weighted_mean=0.9, phi_mean=0.8, auroc_mean=0.95),
        row("b", "inter_patient", system="VAE", f1_weighted_mean=0.7, phi_mean=0.3),
    ]
    (found,) = differences(rows)
    assert (found["system"], found["dataset"], found["model"]) == ("VAE", "mitbih", "vae")
    assert (found["protocol"], found["trial"]) == ("paper", "a")
    assert found["trial_inter_patient"] == "b"
    assert (found["f1_weighted"], found["f1_weighted_inter_patient"]) == (0.9, 0.7)
    assert found["f1_weighted_difference"] == pytest.approx(0.2)
    assert found["phi_difference"] == pytest.approx(0.5)
    assert found["auroc_difference"] == pytest.approx(0.45)
    assert found["auroc_labels_difference"] == 0


def test_trials_without_a_system_are_matched_by_their_settings() -> None:
    rows = [
        row("a", **{"param.model.beta": 0.1}),
        row("b", **{"param.model.beta": 0.2}),
        row("c", **{"param.model.beta": None}),
        row("d", "inter_patient", **{"param.model.beta": None, "param.split.beside": ["x"]}),
        row("e", "inter_patient", system=None, **{"param.model.beta": 0.1}),
    ]
    found = differences(rows)
    assert [(each["trial"], each["trial_inter_patient"]) for each in found] == [
        ("a", "e"),
        ("c", "d"),
    ]
    assert {each["system"] for each in found} == {""}


def test_a_system_is_not_matched_by_settings_and_needs_none() -> None:
    rows = [
        row("a", system="A", **{"param.model.beta": 0.1}),
        row("b", "inter_patient", system="B", **{"param.model.beta": 0.1}),
        row("c", "inter_patient", system="A", **{"param.model.beta": 0.2}),
        row("d", "inter_patient", **{"param.model.beta": 0.1}),
    ]
    assert [each["trial_inter_patient"] for each in differences(rows)] == ["c"]


def test_an_undefined_metric_has_no_difference() -> None:
    (found,) = differences([row("a", phi_mean=math.nan), row("b", "inter_patient")])
    assert math.isnan(found["phi"])
    assert math.isnan(found["phi_difference"])
    assert found["phi_inter_patient"] == 0.5


def test_one_protocol_alone_gives_an_empty_table() -> None:
    for rows in ([row("a"), row("b", "kfold")], [row("c", "inter_patient")]):
        assert differences(rows) == []


ROW = st.fixed_dictionaries(
    {
        "system": st.sampled_from(["", "A"]),
        "dataset": st.sampled_from(["mitbih", "synthetic"]),
        "model": st.sampled_from(["ae", "vae"]),
        "epoch_rule": st.sampled_from(["best_validation", "last"]),
        "latent_form": st.sampled_from(["", "implicit"]),
        "phi_mean": st.floats(-1, 1),
        "param.model.beta": st.sampled_from([None, 0.1, 0.2]),
        "param.split.folds": st.sampled_from([2, 5]),
    }
)
PROTOCOLS = st.sampled_from(["paper", "kfold", "inter_patient"])


@given(st.lists(st.tuples(PROTOCOLS, ROW), min_size=1, max_size=12))
def test_every_pair_that_belongs_together_is_found_once(
    drawn: list[tuple[str, dict[str, Any]]],
) -> None:
    rows = [row(str(i), protocol, **kept) for i, (protocol, kept) in enumerate(drawn)]

    def known_settings(each: dict[str, Any]) -> dict[str, Any]:
        apart = ("param.split.protocol", "param.split.beside")
        known = {k: v for k, v in each.items() if k.startswith("param.") and k not in apart}
        return known | {"model": each["model"]}

    def together(one: dict[str, Any], other: dict[str, Any]) -> bool:
        same = all(one[name] == other[name] for name in ("dataset", "system", *DECIDED))
        return same and (one["system"] != "" or known_settings(one) == known_settings(other))

    expected = [
        (one["trial"], other["trial"], one["phi_mean"] - other["phi_mean"])
        for one, other in itertools.product(rows, rows)
        if one["protocol"] != "inter_patient" and other["protocol"] == "inter_patient"
        if together(one, other)
    ]
    found = [
        (each["trial"], each["trial_inter_patient"], each["phi_difference"])
        for each in differences(rows)
    ]
    assert found == expected

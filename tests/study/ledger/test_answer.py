"""What a study answers with, of hand-made records."""

import math
from dataclasses import replace
from typing import Any

import pytest

from study.config.schema import Study
from study.config.study_file import check_study
from study.ledger.answer import answers, composition_of
from study.search.sources import SystemList
from study.search.trial import State, Trial, TrialRecord
from tests.study.trials import record_of, trial_of


def made(**metric: str) -> Study:
    content: dict[str, Any] = {"name": "made", "dataset": {"name": "synthetic", "length": 32}}
    content |= {"model": {"name": "beta_vaegan"}, "search": {"metric": metric}}
    return check_study(content, "made.yaml")


def ended(study: Study, *outcomes: tuple[State, float]) -> list[TrialRecord]:
    return [
        record_of(trial_of(study, number, {"model.beta": 0.1}), state, [(1, 0.0), (2, value)])
        for number, (state, value) in enumerate(outcomes)
    ]


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([("completed", 0.5), ("completed", 0.7), ("completed", 0.7), ("pruned", 0.9)], [1]),
        ([("failed", 0.9), ("pruned", 0.2), ("pruned", 0.3)], [2]),
        ([("completed", math.nan), ("completed", 0.1)], [1]),
        ([("failed", 0.9)], []),
        ([], []),
    ],
)
def test_a_search_answers_with_its_best_trial(
    outcomes: list[tuple[State, float]], expected: list[int]
) -> None:
    study = made(composition="reconstruction")
    best = answers(study, ended(study, *outcomes))
    assert [answer.record.trial.number for answer in best] == expected
    assert all(answer.composition == "reconstruction" for answer in best)


def test_a_repetition_is_no_answer_whatever_it_scores() -> None:
    study = made(composition="reconstruction")
    first, second = ended(study, ("completed", 0.5), ("completed", 0.9))
    repeated = replace(second, trial=replace(second.trial, is_repetition=True))
    assert [each.record.name for each in answers(study, [first, repeated])] == ["trial-00000"]


def test_systems_are_ranked_by_their_metrics_under_the_studys_own_protocol_first() -> None:
    content: dict[str, Any] = {
        "name": "made",
        "dataset": {"name": "synthetic", "length": 32},
        "split": {"protocol": "paper", "beside": "inter_patient", "folds": 2},
        "search": {"metric": {"composition": "svm_gamma", "latent_form": "chi_mode"}},
        "systems": {
            "ours": {"model": {"name": "beta_vaegan"}},
            "other_score": {"model": {"name": "vae"},
                            "metric": {"composition": "reconstruction", "score": "phi"}},
            "knn": {"model": {"name": "knn"}, "metric": {"composition": "outlier_score"}},
        },
    }  # fmt: skip
    study = check_study(content, "made.yaml")
    source, values, records = SystemList(study), {"ours": 0.8, "other_score": 0.99, "knn": 0.9}, []
    for _ in range(source.size):
        trial = source.next_trial({}, set())
        assert isinstance(trial, Trial)
        beside = 0.09 * (trial.protocol == "inter_patient")
        records.append(record_of(trial, values=[(2, values[trial.system] + beside)]))
    ranked = answers(study, records)
    order = ["knn", "ours", "other_score"]
    assert [each.record.trial.system for each in ranked] == [*order, *order]
    protocols = [each.record.trial.protocol for each in ranked]
    assert protocols == ["paper"] * 3 + ["inter_patient"] * 3
    composed = {each.record.trial.system: (each.composition, each.latent_form) for each in ranked}
    assert composed == {
        "ours": ("svm_gamma", "chi_mode"),
        "other_score": ("reconstruction", ""),
        "knn": ("outlier_score", ""),
    }


@pytest.mark.parametrize(
    ("composition", "form"), [("latent", "empirical_mode"), ("svm_lambda", ""), ("svm_gamma", None)]
)
def test_a_form_of_l_belongs_to_compositions_that_use_it(
    composition: str, form: str | None
) -> None:
    metric = {"composition": composition, "latent_form": form or "empirical_mode"}
    chosen = composition_of(trial_of(made(**metric)).config)
    assert chosen == (composition, "empirical_mode" if form is None else form)

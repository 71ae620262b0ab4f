"""Scores that a study can have: known components, compositions and protocols."""

from typing import Any

import pytest

from models import MODELS, components_of
from study.config.components import available_components
from study.config.study_file import check_study, dump_study, load_study
from study.config.trial_config import TrialConfig
from study.errors import RequestError

R = "reconstruction_error"


def study_of(**parts: Any) -> Any:
    content = {
        "name": "a",
        "dataset": {"name": "synthetic", "components": "record"},
        "model": {"name": "vae"},
        "search": {"metric": {"composition": "reconstruction"}},
    }
    given = {name: part for name, part in {**content, **parts}.items() if part is not None}
    return check_study(given, "my.yaml")


def own(**compositions: Any) -> dict[str, Any]:
    return {"compositions": compositions}


SVM = {"components": [R, "prematurity"], "rule": "svm"}
NOT_OF_KNN = {"knn": {"model": {"name": "knn"}, "metric": {"composition": "together"}}}
SYSTEMS = {
    "vae": {"model": {"name": "vae"}, "metric": {"composition": "together"}},
    "knn": {"model": {"name": "knn"}, "metric": {"composition": "outlier_score"}},
}


def test_components_are_the_models_and_then_the_samples() -> None:
    study = study_of()
    names = (*components_of(study.model), *study.dataset.component_names)
    assert available_components(study.model, study.dataset) == names
    assert "prematurity" in names


def test_an_own_composition_may_be_the_metric_and_followed() -> None:
    study = study_of(
        scores=own(together=SVM),
        search={"metric": {"composition": "together"}},
        measures={"tracked": ["together"]},
    )
    content = dump_study(study)
    assert content["scores"]["compositions"]["together"]["rule"] == "svm"
    assert check_study(content, "again.yaml") == study
    config = TrialConfig.of(study)
    assert TrialConfig.model_validate(config.to_dict()) == config


def test_of_systems_one_with_the_components_is_enough() -> None:
    study = study_of(model=None, scores=own(together=SVM), search={}, systems=SYSTEMS)
    assert study.systems["vae"].metric.composition == "together"


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"scores": own(svm_gamma=SVM)}, ["scores.compositions.svm_gamma", "another name"]),
        ({"scores": own(mine={**SVM, "rule": "svn"})}, ["scores.compositions.mine.rule", "'svm'"]),
        ({"scores": own(mine={**SVM, "kernel": 1})}, ["mine.kernel", "allowed here: components"]),
        ({"scores": own(mine={"rule": "svm"})}, ["scores.compositions.mine.components", "missing"]),
        ({"scores": own(Mine=SVM)}, ["scores.compositions", "Mine", "pattern"]),
        (
            {"scores": own(mine={**SVM, "components": ["prematuritty"]})},
            ["scores.compositions.mine.components", "prematuritty", "did you mean 'prematurity'"],
        ),
        (
            {"scores": own(mine=SVM), "dataset": {"name": "synthetic"}},
            ["prematurity is none that", f"latent_norm, {R}"],
        ),
        (
            {"scores": own(mine={**SVM, "rule": "fixed"})},
            ["scores.compositions.mine", "thresholds belong to rule fixed"],
        ),
        (
            {"search": {"metric": {"composition": "svm_lamda"}}},
            ["search.metric.composition", "one of reconstruction", "did you mean 'svm_lambda'"],
        ),
        ({"search": {"metric": {"composition": "svm_lambda"}}}, ["discrimination_error", "allows"]),
        ({"measures": {"tracked": ["latnt"]}}, ["measures.tracked", "did you mean 'latent'"]),
        ({"scores": {"scale": "logs"}}, ["scores.scale", "'log'"]),
        ({"scores": {"scale": "log", "latent_distance": "signed"}}, ["scores", "absolute"]),
        (
            {
                "scores": {
                    "quantile": 0.5,
                    "compositions": {
                        "both": {
                            "components": ["reconstruction_error", "latent_norm"],
                            "rule": "quantile",
                        }
                    },
                }
            },
            ["scores", "quantile must be above 0.5 for both"],
        ),
        ({"scores": {"prevalence": 1.0}}, ["scores.prevalence", "less than 1"]),
        ({"scores": {"reference": "day"}}, ["scores.reference", "record"]),
        (
            {
                "scores": {"reference": "record"},
                "dataset": {"name": "wafer"},
                "model": {"name": "ae"},
            },
            ["scores.reference", "wafer", "remove it"],
        ),
        ({"scores": {"fit_on": "all_folds"}}, ["scores.fit_on", "kfold or", "under paper"]),
        (
            {
                "scores": {"fit_on": "all_folds"},
                "dataset": {"name": "series", "path": ["a.csv", "b.csv"]},
                "model": {"name": "ae"},
                "split": {"protocol": "series"},
            },
            ["scores.fit_on", "under series"],
        ),
        (
            {
                "scores": {"quantile_of": "held_out_patients"},
                "split": {"protocol": "inter_patient", "beside": "kfold"},
            },
            ["scores.quantile_of", "inter_patient alone"],
        ),
        (
            {"model": None, "search": {}, "scores": own(mine=SVM), "systems": {
                "knn": {"model": {"name": "knn"}, "metric": {"composition": "mine"}}}},
            ["scores.compositions.mine.components", R],
        ),
        (
            {"model": None, "search": {}, "scores": own(together=SVM), "systems": {
                **SYSTEMS, **NOT_OF_KNN}},
            ["systems.knn: search.metric.composition: together needs", R],
        ),
    ],
)  # fmt: skip
def test_what_scores_cannot_be_is_refused_in_one_line(
    parts: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(RequestError) as raised:
        study_of(**parts)
    message = str(raised.value)
    assert message.startswith("my.yaml: ")
    assert "\n" not in message
    for each in words:
        assert each in message


def test_an_own_composition_is_set_on_the_command_line_too() -> None:
    study = load_study(
        "quickstart",
        [f"scores.compositions.mine={{components: [{R}, latent_norm], rule: svm_linear}}"],
    )
    assert study.scores.compositions["mine"].rule == "svm_linear"


def test_every_models_own_components_can_be_composed() -> None:
    for name in ("beta_vaegan", "knn"):
        components = components_of(MODELS[name].settings())[:1]
        study = check_study(
            {
                "name": "a",
                "dataset": {"name": "synthetic"},
                "model": {"name": name},
                "search": {"metric": {"composition": "mine"}},
                "scores": own(mine={"components": components, "rule": "quantile"}),
            },
            "my.yaml",
        )
        assert study.search.metric.composition == "mine"

"""Searches whose trials differ in what they have: models, conditions, settings without effect."""

from typing import Any

import pytest

from study.config.effects import why_without_effect
from study.config.schema import Study
from study.config.study_file import check_study, dump_study, to_yaml
from study.config.trial_config import TrialConfig
from study.errors import RequestError
from study.search.sources import Search
from study.search.trial import Trial
from tests.study.search.searches import searching

CHOICE = {"choice": ["beta_vaegan", "vae", "pca"]}
NETWORKS = ["beta_vaegan", "vae"]
SPACE = {
    "model.name": CHOICE,
    "model.latent_size": {"int": [2, 12], "when": {"model.name": NETWORKS}},
    "model.beta": {"loguniform": [1e-6, 0.1], "when": {"model.name": NETWORKS}},
    "training.discriminator_updates": {"int": [1, 5], "when": {"model.name": "beta_vaegan"}},
    "training.optimizer.name": {"choice": ["adam", "adabelief"], "when": {"model.name": "vae"}},
    "training.optimizer.rectify": {
        "choice": [True, False],
        "when": {"training.optimizer.name": "adabelief"},
    },
    "model.components": {"int": [1, 12], "when": {"model.name": "pca"}},
}
OF_MODEL = {
    "beta_vaegan": {"model.latent_size", "model.beta", "training.discriminator_updates"},
    "vae": {"model.latent_size", "model.beta", "training.optimizer.name"},
    "pca": {"model.components"},
}


def study_of(space: dict[str, Any], model: Any = None, **search: Any) -> Study:
    model = model or {"name": "beta_vaegan", "spectral_norm": False}
    return searching(space, model=model, **{"metric": {"composition": "reconstruction"}, **search})


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_each_trial_has_the_settings_of_its_model_and_no_others(sampler: str) -> None:
    search = Search(study_of(SPACE, sampler=sampler, startup_trials=5))
    models = set()
    for _ in range(40):
        trial = search.next_trial({}, set())
        assert isinstance(trial, Trial)
        name = trial.config.model.name
        models.add(name)
        adabelief = trial.parameters.get("training.optimizer.name") == "adabelief"
        rectify = {"training.optimizer.rectify"} if adabelief else set()
        assert trial.parameters.keys() == {"model.name", *OF_MODEL[name], *rectify}
        assert trial.config.training.epochs == (1 if name == "pca" else 500)
    assert models == set(OF_MODEL)


def test_another_model_has_its_own_defaults_and_the_studys_has_what_is_set() -> None:
    config = TrialConfig.of(study_of(SPACE))
    assert config.with_parameters({"model.name": "beta_vaegan"}).model == config.model
    other = config.with_parameters({"model.name": "beatgan", "model.latent_size": 3}).model
    assert (other.latent_size, other.spectral_norm) == (3, False)  # type: ignore[attr-defined]
    assert other.output_layer == "tanh_rescaled"  # type: ignore[attr-defined]


def test_a_space_with_conditions_reads_back() -> None:
    study = study_of(SPACE)
    assert check_study(dump_study(study), "again") == study
    assert "when:" in to_yaml(dump_study(study))
    plain = study_of({"model.beta": {"uniform": [0, 1]}})
    assert "when" not in str(dump_study(plain))


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({"model.name": {"choice": ["vae", "vea"]}}, "must be some of beta_vaegan, .*'vea'"),
        ({"model.name": {"int": [1, 2]}}, "must be a choice of models"),
        ({"model.name": CHOICE, "model.beta": {"uniform": [0, 1]}}, "model.beta is no setting of"),
        (
            {"model.name": CHOICE, "model.betta": {"uniform": [0, 1]}},
            "model.betta is not a setting of this study; did you mean 'model.beta'",
        ),
        (
            {"model.beta": {"uniform": [0, 1], "when": {"model.name": "vae"}}},
            "when.model.name: must be a searched setting that stands above",
        ),
        (
            {
                "model.latent_size": {"int": [2, 4]},
                "model.beta": {"uniform": [0, 1], "when": {"model.latent_size": 2}},
            },
            "conditions are on a choice, found int",
        ),
        (
            {"model.name": CHOICE, "model.beta": {"uniform": [0, 1], "when": {"model.name": "ae"}}},
            "must be some of beta_vaegan, vae, pca, found 'ae'",
        ),
        (
            {"model.name": {"choice": ["vae", "knn"]}},
            "metric.composition: reconstruction needs reconstruction_error, which knn",
        ),
        (
            {
                "model.name": {"choice": ["vae", "pca"]},
                "model.latent_size": {"int": [0, 4], "when": {"model.name": "vae"}},
            },
            "model.latent_size: 0 is not allowed",
        ),
    ],
)
def test_what_no_trial_could_have_is_refused_in_one_line(space: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words) as raised:
        study_of(space)
    assert "\n" not in str(raised.value)


def test_networks_do_not_get_the_one_epoch_of_what_is_fitted_once() -> None:
    with pytest.raises(RequestError, match=r"model\.name: pca is fitted once; name a network"):
        study_of({"model.name": CHOICE}, {"name": "pca"})


@pytest.mark.parametrize(
    ("search", "words"),
    [
        ({"sampler": "gp"}, "sampler: gp needs settings that all trials have, model.latent_size"),
        ({"sampler": "qmc"}, "tpe and random take it"),
        ({"startup": "qmc"}, "startup: qmc needs settings that all trials have"),
    ],
)
def test_samplers_that_know_no_conditions_are_refused_with_one(
    search: dict[str, Any], words: str
) -> None:
    with pytest.raises(RequestError, match=words):
        study_of(SPACE, **search)


def test_cmaes_searches_numbers_alone() -> None:
    with pytest.raises(RequestError, match=r"cmaes searches numbers, model\.latent is a choice"):
        study_of({"model.latent": {"choice": ["mean", "sampled"]}}, sampler="cmaes")


@pytest.mark.parametrize(
    ("model", "space", "needs"),
    [
        ("vae", {"training.discriminator_updates": {"int": [1, 3]}}, "a discriminator"),
        ("anogan", {"training.discriminator_from": {"uniform": [0, 0.5]}}, "an autoencoder with"),
        ("ae", {"training.kl_warmup": {"uniform": [0, 1]}}, "a posterior"),
        ("vae", {"training.final_share": {"uniform": [0, 1]}}, "training.schedule cosine"),
        ("beatgan", {"training.optimizer.rectify": {"choice": [True, False]}}, "adabelief"),
        ("vae", {"scores.svm_c": {"loguniform": [0.1, 10]}}, "a metric.composition by an svm"),
        ("vae", {"metric.latent_form": {"choice": ["implicit", "chi_mode"]}}, "of L"),
        ("pca", {"training.batch_size": {"int": [2, 8]}}, "which is fitted once"),
    ],
)
def test_a_setting_that_does_nothing_for_the_model_is_refused(
    model: str, space: dict[str, Any], needs: str
) -> None:
    (key,) = space
    words = f"search.space: {key} changes nothing of {model}.*{needs}"
    with pytest.raises(RequestError, match=words):
        study_of(space, {"name": model})


@pytest.mark.parametrize(
    ("model", "key"),
    [
        ("latent_refinement", "training.kl_warmup"),  # of the encoder, a beta_vaegan
        ("anogan", "training.discriminator_updates"),
        ("beatgan", "training.discriminator_from"),
    ],
)
def test_a_setting_with_an_effect_is_searched(model: str, key: str) -> None:
    content = {"name": "s", "dataset": {"name": "synthetic"}, "model": {"name": model}}
    search = {"metric": {"composition": "reconstruction"}}
    config = TrialConfig.of(check_study({**content, "search": search}, "f"))
    assert why_without_effect(key, config, {key}) == ""


def test_what_another_searched_setting_may_bring_is_searched_beside_it() -> None:
    adam = {"name": "beatgan"}
    rectify = {"training.optimizer.rectify": {"choice": [True, False]}}
    optimizer = {"training.optimizer.name": {"choice": ["adam", "adabelief"]}}
    study = study_of(optimizer | rectify, adam)
    assert list(study.search.space) == ["training.optimizer.name", "training.optimizer.rectify"]


def test_the_composition_that_judges_a_trial_may_be_searched_with_its_settings() -> None:
    space = {
        "metric.composition": {"choice": ["svm_lambda", "reconstruction"]},
        "scores.svm_c": {"loguniform": [0.1, 10], "when": {"metric.composition": "svm_lambda"}},
    }
    search = Search(study_of(space, sampler="random"))
    for _ in range(12):
        trial = search.next_trial({}, set())
        assert isinstance(trial, Trial)
        composition = trial.config.metric.composition
        assert composition == trial.parameters["metric.composition"]
        assert ("scores.svm_c" in trial.parameters) == (composition == "svm_lambda")
    with pytest.raises(RequestError, match=r"must be one of reconstruction, .*found 'svm'"):
        study_of({"metric.composition": {"choice": ["svm", "reconstruction"]}})

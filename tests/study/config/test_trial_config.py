import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from models import MODELS, components_of
from study.config.dotted_keys import flatten
from study.config.schema import Study
from study.config.study_file import check_study, dump_study, load_study, shipped_studies
from study.config.trial_config import TrialConfig
from study.scores.rules import applicable

SHARED = ("dataset", "model", "training", "scores", "measures", "seed")


@pytest.mark.parametrize("name", shipped_studies())
def test_a_trial_has_what_its_study_says_and_reads_back(name: str) -> None:
    study = load_study(name)
    for system in (None, *study.systems.values()):
        config = TrialConfig.of(study, system)
        assert TrialConfig.model_validate(json.loads(json.dumps(config.to_dict()))) == config
        assert TrialConfig.from_stored(config.to_dict()) == config
    content, config = dump_study(study), TrialConfig.of(study).to_dict()
    assert {part: content[part] for part in SHARED} == {part: config[part] for part in SHARED}
    assert config["metric"] == content["search"]["metric"]
    assert (config["study"], config["split"]["beside"]) == (study.name, None)


def test_a_system_has_a_model_training_and_metric_of_its_own() -> None:
    study = load_study("paper_mitbih")
    for system in study.systems.values():
        config = TrialConfig.of(study, system)
        assert (config.model, config.training) == (system.model, system.training)
        assert config.metric == system.metric
        assert config.scores == study.scores


@pytest.mark.parametrize("name", list(MODELS))
def test_every_model_reads_back(name: str) -> None:
    metric = {"composition": applicable(components_of(MODELS[name].settings()))[0]}
    content = {"name": "a", "dataset": {"name": "synthetic"}, "model": {"name": name}}
    config = TrialConfig.of(check_study({**content, "search": {"metric": metric}}, "f"))
    assert TrialConfig.model_validate(json.loads(json.dumps(config.to_dict()))) == config


def test_parameters_replace_settings_and_nothing_else() -> None:
    config = TrialConfig.of(load_study("quickstart"))
    trial = config.with_parameters({"model.beta": 0.005, "model.latent_size": 7})
    before, after = flatten(config.to_dict()), flatten(trial.to_dict())
    assert {key for key in after if after[key] != before[key]} == {
        "model.beta", "model.latent_size"
    }  # fmt: skip
    assert (after["model.beta"], after["model.latent_size"]) == (0.005, 7)
    assert config.with_parameters({}) == config


@pytest.mark.parametrize("parameters", [{"model.beta": -1}, {"model.depth": 3}, {"seed": "x"}])
def test_parameters_that_no_trial_can_have_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TrialConfig.of(load_study("quickstart")).with_parameters(parameters)


def test_another_protocol_changes_the_split_alone() -> None:
    config = TrialConfig.of(load_study("quickstart"))
    under = config.under("inter_patient")
    assert under.split.protocol == "inter_patient"
    before, after = flatten(config.to_dict()), flatten(under.to_dict())
    assert {key for key in after if after[key] != before[key]} == {"split.protocol"}


def test_a_stored_study_is_read_as_the_trial_that_it_was(tiny_study: Callable[..., Study]) -> None:
    study = tiny_study(search={"trials": 3, "metric": {"composition": "svm_gamma"}}, seed=5)
    assert TrialConfig.from_stored(dump_study(study)) == TrialConfig.of(study)


@pytest.mark.parametrize("part", ["dataset", "model", "seed"])
def test_what_lacks_a_part_is_no_configuration(part: str, tiny_study: Callable[..., Study]) -> None:
    content = TrialConfig.of(tiny_study()).to_dict()
    del content[part]
    with pytest.raises(ValidationError):
        TrialConfig.from_stored(content)

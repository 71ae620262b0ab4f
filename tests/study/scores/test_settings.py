from dataclasses import fields

import pytest
from pydantic import ValidationError

from study.scores.metrics import Metrics
from study.scores.settings import METRIC_NAMES, ScoreSettings


def test_the_defaults_are_the_papers():
    settings = ScoreSettings()
    assert settings.latent_distance == "absolute"
    assert (settings.svm_solver, settings.svm_c, settings.svm_gamma) == ("exact", 1.0, "scale")
    assert (settings.lambda_steps, settings.gamma_steps, settings.quantile) == (100, 50, 0.95)


@pytest.mark.parametrize(
    "wrong",
    [
        {"quantile": 0.0},
        {"quantile": 1.0},
        {"lambda_steps": 1},
        {"gamma_steps": 1},
        {"svm_c": 0.0},
        {"svm_gamma": -1.0},
        {"svm_gamma": "wide"},
        {"svm_solver": "fast"},
        {"latent_distance": "squared"},
        {"lamda_steps": 10},
    ],
)
def test_values_out_of_range_and_unknown_keys_are_refused(wrong):
    with pytest.raises(ValidationError):
        ScoreSettings(**wrong)


def test_the_metrics_of_a_study_file_are_those_computed():
    names = [field.name for field in fields(Metrics)]
    assert names == [*METRIC_NAMES, "prevalence", "num_samples", "f1_weighted_constant"]

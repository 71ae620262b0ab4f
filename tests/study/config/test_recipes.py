"""What a recipe sets of training, beside a model's defaults and the study's own settings."""

from pathlib import Path

import pytest

from models.bases.recipes import RECIPES
from models.settings import TrainingSettings
from study.config.study_file import check_study
from study.errors import RequestError
from tests.study.config.test_study_file import LEAST, again


def test_a_recipe_is_what_training_is_where_nothing_else_is_said(tmp_path: Path) -> None:
    paper = check_study(LEAST, "a").training
    assert paper == TrainingSettings() == TrainingSettings(recipe="paper")
    fast = check_study({**LEAST, "training": {"recipe": "fast"}}, "a").training
    assert fast == TrainingSettings(recipe="fast")
    changed = {
        name
        for name in TrainingSettings.model_fields
        if getattr(fast, name) != getattr(paper, name)
    }
    assert changed == {"recipe", *RECIPES["fast"]}
    assert fast.optimizer == paper.optimizer.model_copy(update={"learning_rate": 1e-3})
    own = {"recipe": "fast", "average": None, "optimizer": {"betas": [0.1, 0.2]}}
    study = check_study({**LEAST, "training": own}, "a")
    assert study.training.average is None
    assert study.training.optimizer.betas == (0.1, 0.2)
    assert study.training.optimizer.learning_rate == 1e-3
    assert again(study) == study


def test_a_recipe_goes_before_a_models_own_way_and_the_study_before_both() -> None:
    content = {**LEAST, "model": {"name": "beatgan"}, "training": {"recipe": "fast"}}
    training = check_study(content, "a").training
    assert (training.optimizer.name, training.optimizer.learning_rate) == ("adam", 1e-3)
    assert (training.batch_size, training.schedule) == (64, "cosine")
    content["training"] = {"recipe": "fast", "optimizer": {"name": "adabelief"}, "batch_size": 8}
    training = check_study(content, "a").training
    assert training.optimizer == TrainingSettings(recipe="fast").optimizer
    assert training.batch_size == 8


def test_systems_have_recipes_of_their_own() -> None:
    content = {
        "name": "a",
        "dataset": {"name": "synthetic"},
        "training": {"recipe": "fast", "epochs": 7},
        "systems": {
            "fast": {"model": {"name": "beta_vaegan"}},
            "paper": {"model": {"name": "beta_vaegan"}, "training": {"recipe": "paper"}},
        },
    }
    systems = check_study(content, "a").systems
    assert systems["fast"].training == TrainingSettings(recipe="fast", epochs=7)
    assert systems["paper"].training == TrainingSettings(epochs=7)


def test_a_recipe_cannot_be_searched() -> None:
    space = {"training.recipe": {"choice": ["paper", "fast"]}}
    with pytest.raises(RequestError, match=r"training\.recipe cannot be searched"):
        check_study({**LEAST, "search": {"space": space}}, "a")

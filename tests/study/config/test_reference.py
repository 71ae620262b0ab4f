"""The page of settings is fresh, and has every key that a study file may hold."""

import re
from pathlib import Path

from study.config.error_messages import setting_keys
from study.config.reference import reference
from study.data import DATASETS
from study.scores.settings import ScoreSettings

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"


def test_the_page_is_what_the_classes_say() -> None:
    assert PAGE.read_text() == reference(), (
        "run: python -m study.config.reference > docs/settings.md"
    )


def test_every_key_is_there() -> None:
    shown = set(re.findall(r"^\| `([^`]+)` ", reference(), re.MULTILINE))
    prefixes = {key.rpartition(".")[0] for key in shown}
    named = {key for key in setting_keys() if key.rpartition(".")[2] != "name"}
    # Those of a model within a model are shown once; where they are is said.
    own = {key for key in named if not key.startswith(("model.encoder.", "provenance"))}
    assert own - shown - prefixes - {key.split(".")[0] for key in shown} == set()
    assert "name" in shown


def test_ranges_and_defaults_are_those_that_hold() -> None:
    page = reference()
    assert "| `dataset.length` | whole number from 32 to 65,536 in steps of 32 | `160` |" in page
    assert "| `scores.quantile` | number above 0 below 1 | `0.95` |" in page
    assert "| `search.metric.latent_form` | `implicit`, `chi_mode`, `empirical_mode` |" in page
    assert "| `systems.<name>.training` | as `training` |" in page
    assert all(f"### `dataset.name: {name}`" in page for name in DATASETS)


def test_every_setting_of_scores_is_described() -> None:
    fields = ScoreSettings.model_fields
    assert [name for name, field in fields.items() if not field.description] == []

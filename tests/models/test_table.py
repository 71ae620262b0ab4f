"""The table of models, and the folders that it names."""

from pathlib import Path
from typing import get_args

import pytest
from pydantic import TypeAdapter, ValidationError

import models
from models import MODELS, implementation
from models.bases.settings import EncoderDecoderSettings, NamedSettings, any_of
from models.settings import ModelSettings

FOLDER = Path(models.__file__).parent
SHARED = {"bases", "networks"}


def test_every_folder_is_a_model_of_the_table_or_shared() -> None:
    folders = {path.parent.name for path in FOLDER.glob("*/__init__.py")}
    assert folders == MODELS.keys() | SHARED


@pytest.mark.parametrize("name", MODELS)
def test_each_model_has_the_same_files(name: str) -> None:
    files = {path.name for path in (FOLDER / name).glob("*.py")}
    assert files == {"__init__.py", "settings.py", "model.py"}
    entry = MODELS[name]
    assert entry.settings().name == name
    assert entry.settings.__module__ == f"models.{name}.settings"
    assert implementation(name).__module__ == f"models.{name}.model"


def test_a_study_file_names_any_model_of_the_table() -> None:
    adapter: TypeAdapter[NamedSettings] = TypeAdapter(ModelSettings)
    for name, entry in MODELS.items():
        assert adapter.validate_python({"name": name}) == entry.settings()
    with pytest.raises(ValidationError, match="union_tag_invalid"):
        adapter.validate_python({"name": "no_model"})


def test_any_encoder_model_of_the_table_can_be_refined() -> None:
    settings = MODELS["latent_refinement"].settings
    encoders = get_args(settings.model_fields["encoder"].annotation)
    assert encoders == tuple(
        entry.settings
        for entry in MODELS.values()
        if issubclass(entry.settings, EncoderDecoderSettings)
    )
    for encoder in encoders:
        name = encoder().name
        assert settings.model_validate({"encoder": {"name": name}}).encoder == encoder()
    with pytest.raises(ValidationError, match="union_tag_invalid"):
        settings.model_validate({"encoder": {"name": "knn"}})


def test_any_of_tells_settings_apart_by_name() -> None:
    adapter: TypeAdapter[NamedSettings] = TypeAdapter(
        any_of(MODELS[name].settings for name in ("pca", "knn"))
    )
    assert adapter.validate_python({"name": "knn"}) == MODELS["knn"].settings()
    with pytest.raises(ValidationError):
        adapter.validate_python({"name": "ae"})

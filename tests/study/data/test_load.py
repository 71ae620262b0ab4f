from pathlib import Path

import numpy as np
import pytest

from study.data import data_folder, dataset, load, prepared_folder
from study.data.synthetic import SyntheticSettings
from study.errors import RequestError


def test_an_unknown_dataset_is_answered_with_the_valid_ones():
    with pytest.raises(
        RequestError, match=r"mitbih, wafer, ucr, synthetic, table, series, found 'mitdb'"
    ):
        dataset("mitdb")


def test_the_data_folder_is_the_option_else_the_environment_else_the_users(monkeypatch):
    monkeypatch.setenv("STUDY_DATA_DIR", "/somewhere")
    assert data_folder("here") == Path("here")
    assert data_folder(None) == Path("/somewhere")
    monkeypatch.delenv("STUDY_DATA_DIR")
    assert data_folder(None).parts[-2:] == ("beta-vaegan-study", "data")


def test_the_prepared_folder_is_the_option_else_the_environment_else_the_users(monkeypatch):
    monkeypatch.setenv("STUDY_CACHE_DIR", "/somewhere")
    assert prepared_folder(Path("here")) == Path("here")
    assert prepared_folder() == Path("/somewhere")
    monkeypatch.delenv("STUDY_CACHE_DIR")
    assert prepared_folder().name == "prepared"


def test_a_cache_folder_that_cannot_be_written_is_done_without(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    settings = SyntheticSettings(patients=1, beats_per_patient=5)
    samples = load(settings, tmp_path, 0, blocked)
    assert len(samples) == 5
    assert blocked.read_text() == "not a folder"
    np.testing.assert_array_equal(samples.values, load(settings, tmp_path, 0, tmp_path).values)

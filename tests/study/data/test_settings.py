import pytest
from pydantic import TypeAdapter, ValidationError

from study.data.settings import DatasetSettings
from study.data.synthetic import SyntheticSettings
from study.data.ucr import UcrSettings

ANY = TypeAdapter(DatasetSettings)


@pytest.mark.parametrize("length", [0, 16, 31, 33, 170])
def test_a_length_that_is_no_multiple_of_32_is_refused(length):
    with pytest.raises(ValidationError, match="length"):
        SyntheticSettings(length=length)


def test_the_name_chooses_the_settings():
    assert isinstance(ANY.validate_python({"name": "synthetic"}), SyntheticSettings)
    with pytest.raises(ValidationError, match="mitbih"):
        ANY.validate_python({"name": "mitbhi"})


def test_ucr_takes_one_path_or_several_and_labels_as_yaml_reads_them():
    one = ANY.validate_python({"name": "ucr", "path": "a.tsv", "normal_labels": 1})
    assert one == UcrSettings(path=("a.tsv",), normal_labels=("1",))
    many = ANY.validate_python({"name": "ucr", "path": ["a", "b"], "normal_labels": [1, 2.5, "x"]})
    assert isinstance(many, UcrSettings)
    assert many.path == ("a", "b")
    assert many.normal_labels == ("1", "2.5", "x")


def test_settings_survive_their_own_file_form():
    settings = UcrSettings(path=("a", "b"), normal_labels=("1",), limit=5)
    assert ANY.validate_python(settings.model_dump(mode="json")) == settings

import pytest
from pydantic import TypeAdapter, ValidationError

from study.config.study_file import check_study
from study.data.beat_settings import CentredWindow, PublishedWindow
from study.data.mitbih import MitbihSettings
from study.data.settings import DatasetSettings
from study.data.synthetic import SyntheticSettings
from study.errors import RequestError

ANY = TypeAdapter(DatasetSettings)
CENTRED = {"name": "mitbih", "window": {"name": "centred"}}


def test_what_is_as_it_was_is_not_written_down() -> None:
    assert MitbihSettings().model_dump(mode="json") == {
        "name": "mitbih",
        "length": 160,
        "limit": None,
    }
    assert MitbihSettings().window == PublishedWindow()


@pytest.mark.parametrize(
    ("window", "length"),
    [
        ("centred", 160),
        ({"name": "centred", "rate": 200}, 320),
        ({"name": "centred", "before": 0.5, "after": 0.78}, 128),
        # 31.25 and 128.75 values before and after R, in whole ones.
        ({"name": "centred", "before": 0.25, "after": 1.03, "rate": 125}, 160),
    ],
)
def test_a_centred_window_decides_the_length(window: object, length: int) -> None:
    settings = ANY.validate_python({"name": "synthetic", "window": window})
    assert isinstance(settings, SyntheticSettings)
    assert settings.length == settings.window.width == length
    assert settings.row_width is None
    assert ANY.validate_python(settings.model_dump(mode="json")) == settings
    assert SyntheticSettings(window=settings.window) == settings


def test_a_published_window_is_brought_to_any_length() -> None:
    settings = ANY.validate_python({"name": "mitbih", "window": "published", "length": 96})
    assert settings == MitbihSettings(length=96)
    assert settings.row_width == 187


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"length": 192}, "dataset: length must be 160, as many values as the centred window has"),
        (
            {"window": {"name": "centred", "rate": 105}},
            "dataset.window: .* multiple of 32 values, found 94 \\+ 74 = 168; change one",
        ),
        (
            {"window": "centered"},
            "window.name: must be one of published, centred, .* mean 'centred'",
        ),
        (
            {"window": {"name": "published", "rate": 100}},
            "dataset.window.rate: unknown key; .*allowed here: name",
        ),
        ({"window": {"name": "centred", "before": -0.1}}, "dataset.window.before: should be"),
        ({"amplitude": "recrd"}, "amplitude: must be beat, record or first_minutes, .*'record'"),
        ({"components": True}, "dataset.components: must be"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(changes: dict[str, object], problem: str) -> None:
    content = {"name": "x", "dataset": {**CENTRED, **changes}, "model": {"name": "beta_vaegan"}}
    with pytest.raises(RequestError, match=problem) as error:
        check_study(content, "x.yaml")
    assert "\n" not in str(error.value)


def test_other_datasets_have_no_window() -> None:
    with pytest.raises(ValidationError, match="window"):
        ANY.validate_python({"name": "wafer", "window": "centred"})
    assert ANY.validate_python({"name": "wafer"}).component_names == ()


def test_components_are_known_before_any_sample_is() -> None:
    assert MitbihSettings().component_names == ()
    assert MitbihSettings(components="record").component_names == (
        "prematurity",
        "pause",
        "template_distance",
    )


def test_what_differs_from_publications_is_named() -> None:
    assert MitbihSettings(length=96, clean=True, components="record").unlike_published == ""
    settings = MitbihSettings(window=CentredWindow(), amplitude="first_minutes")
    assert settings.unlike_published == (
        "from 0.9 s before R to 0.7 s after it, relative to the QRS height of the record's first"
        " minutes"
    )

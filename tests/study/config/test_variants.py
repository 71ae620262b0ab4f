"""Which variants of its dataset a search has, and settings of a dataset that none can have."""

from typing import Any

import pytest

from study.config.known_settings import enqueued_parameters
from study.config.schema import Study
from study.config.study_file import check_study, dump_study
from study.config.variants import MOST_VARIANTS, variants
from study.errors import RequestError
from study.search.sources import Search
from study.search.trial import Trial
from tests.study.search.searches import searching

WINDOW = {"choice": ["published", "centred"]}
CENTRED = {"when": {"dataset.window.name": "centred"}}
NUMBERS = ("batch_size", "discriminator_updates", "kl_warmup")
SPACE = {
    "model.name": {"choice": ["vae", "ae"]},
    "dataset.window.name": WINDOW,
    "dataset.window.before": {"choice": [0.26, 0.58], **CENTRED},
    "dataset.length": {"choice": [64, 160], "when": {"dataset.window.name": "published"}},
    "dataset.amplitude": {"choice": ["beat", "record"], "when": {"model.name": "ae"}},
}


def study_of(space: dict[str, Any], dataset: dict[str, Any] | None = None, **search: Any) -> Study:
    search = {"sampler": "random", "metric": {"composition": "reconstruction"}, **search}
    return searching(space, dataset=dataset, model={"name": "vae"}, **search)


def test_variants_are_the_datasets_that_trials_draw_and_no_others() -> None:
    study = study_of(SPACE)
    search, drawn = Search(study), []
    for _ in range(60):
        trial = search.next_trial({}, set())
        assert isinstance(trial, Trial)
        drawn.append(trial.config.dataset)
    own = [each.dataset for each in variants(study)]
    # Two windows of two sizes, each with two amplitudes, of which one is the study's.
    assert len(own) == 8
    assert all(own.count(each) == 1 for each in drawn)
    assert all(each in drawn for each in own)
    assert len({each.label for each in variants(study)}) == 8
    assert check_study(dump_study(study), "again") == study


def test_a_search_without_settings_of_the_dataset_has_its_own_alone() -> None:
    study = study_of({"model.beta": {"uniform": [0, 1]}})
    (alone,) = variants(study)
    assert (alone.dataset, dict(alone.searched)) == (study.dataset, {})


def test_another_window_has_its_own_defaults_and_the_studys_what_is_set() -> None:
    window = {"name": "centred", "before": 0.26, "after": 0.38}
    datasets = [
        each.dataset.model_dump(include={"window", "length"})
        for each in variants(
            study_of({"dataset.window.name": WINDOW}, {"name": "synthetic", "window": window})
        )
    ]
    assert datasets == [{"length": 160}, {"window": {**window, "rate": 100}, "length": 64}]
    published = {"name": "synthetic", "length": 32}
    lengths = [each.dataset.length for each in variants(study_of(SPACE | {}, published))]
    assert sorted(set(lengths)) == [64, 96, 128, 160]


def test_first_trials_may_name_a_window_and_have_its_settings() -> None:
    named = [{"dataset.window.name": "centred"}, {"dataset.window.name": "published"}, {}]
    space = {
        "dataset.window.name": WINDOW,
        "dataset.window.before": {"choice": [0.58, 0.9], **CENTRED},
    }
    study = study_of(space, enqueue=named)
    assert [enqueued_parameters(study, number) for number in range(3)] == [
        {"dataset.window.name": "centred", "dataset.window.before": 0.9},
        {"dataset.window.name": "published"},
        {"dataset.window.name": "published"},
    ]
    with pytest.raises(RequestError, match=r"before: 0\.9, the study's own, is not within"):
        study_of(space | {"dataset.window.before": {"choice": [0.58], **CENTRED}}, enqueue=named)


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (
            {"dataset.limit": {"choice": [10, 20]}},
            r"dataset\.limit cannot be searched: .*trials would have other samples.*"
            r"run a study for each value \(of synthetic these can be searched: dataset\.length",
        ),
        ({"dataset.clean": {"choice": [True, False]}}, r"clean cannot be .* or train on others"),
        ({"dataset.window": {"choice": ["published"]}}, r"dataset\.window cannot be searched"),
        ({"dataset.length": {"int": [32, 64]}}, "must be a choice, since samples are made for"),
        (
            {"dataset.window.name": {"choice": ["centered"]}},
            r"'centered' is not allowed: dataset\.window\.name: .*did you mean 'centred'",
        ),
        (
            {
                "model.name": {"choice": ["vae", "ae"]},
                "dataset.window.name": {**WINDOW, "when": {"model.name": "ae"}},
            },
            r"dataset\.window\.name: must be searched in all trials",
        ),
        (
            {"dataset.window.name": WINDOW, "dataset.window.before": {"choice": [0.58, 0.9]}},
            r"before is no setting of the published window; say `when: \{dataset\.window\.name",
        ),
        (
            {"dataset.window.before": {"choice": [0.58, 0.9]}},
            r"dataset\.window\.before is not a setting of this study",
        ),
        (
            {
                "dataset.window.name": WINDOW,
                "dataset.window.before": {"choice": [0.58, 0.5], **CENTRED},
            },
            r"'centred' with .*before: 0\.5 is not allowed: .*multiple of 32 values, found 50",
        ),
        (
            {"dataset.length": {"choice": [*range(32, 32 * MOST_VARIANTS + 64, 32)]}},
            "must have at most 16 combinations",
        ),
        (
            {f"training.{name}": {"choice": [*range(1, 101)]} for name in NUMBERS}
            | {
                "dataset.amplitude": {
                    "choice": ["beat", "record"],
                    "when": {f"training.{name}": 7 for name in NUMBERS},
                }
            },
            "must have at most 16 combinations",
        ),
        (
            {"dataset.components": {"choice": ["none", "record"]}},
            r"dataset\.components changes nothing .* needs a metric\.composition of prematurity",
        ),
    ],
)
def test_what_no_variant_could_be_is_refused_in_one_line(space: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words) as raised:
        study_of(space)
    assert "\n" not in str(raised.value)


def test_as_many_variants_as_there_may_be_are_not_too_many() -> None:
    lengths = {"choice": [*range(32, 32 * MOST_VARIANTS + 32, 32)]}
    assert len(variants(study_of({"dataset.length": lengths}))) == MOST_VARIANTS


def test_windows_of_long_recordings_cannot_be_searched_and_their_scaling_can() -> None:
    recordings = {"name": "series", "path": ["a.csv"]}
    for key in ("length", "stride"):
        with pytest.raises(
            RequestError, match=rf"{key} cannot be .*of series .*: dataset\.scaling"
        ):
            study_of({f"dataset.{key}": {"choice": [32, 64]}}, recordings)
    scalings = {"dataset.scaling": {"choice": ["training", "sample"]}}
    assert len(variants(study_of(scalings, recordings))) == 2


@pytest.mark.parametrize(
    ("components", "words"), [("first_minutes", ""), ("none", "early needs prematurity")]
)
def test_components_are_searched_where_every_variant_has_what_the_metric_reads(
    components: str, words: str
) -> None:
    content = dump_study(study_of({}))
    early = {"components": ["prematurity"], "rule": "threshold"}
    content["scores"]["compositions"] = {"early": early}
    content["search"]["metric"]["composition"] = "early"
    content["search"]["space"] = {"dataset.components": {"choice": ["record", components]}}
    if not words:
        assert len(variants(check_study(content, "s.yaml"))) == 2
        return
    with pytest.raises(RequestError, match=words):
        check_study(content, "s.yaml")

"""Settings that a search tries first."""

from typing import Any

import pytest

from study.config.known_settings import enqueued_parameters
from study.config.study_file import check_study, load_study, shipped_studies
from study.errors import RequestError

SPACE = {
    "model.beta": {"loguniform": [1e-6, 0.1]},
    "model.latent_size": {"int": [2, 12]},
    "model.latent": {"choice": ["mean", "sampled"]},
}
PAPER = {"mitbih": 6, "new_patients": 6, "wafer": 4}
"""Latent sizes of the paper by study."""


def study_of(*enqueued: dict[str, Any], trials: int = 5, **parts: Any) -> Any:
    search = {"space": SPACE, "trials": trials, "enqueue": list(enqueued)}
    content = {"name": "s", "dataset": {"name": "synthetic"}, "model": {"name": "beta_vaegan"}}
    return check_study({**content, "search": search, **parts}, "s.yaml")


def test_what_is_not_named_is_as_in_the_study() -> None:
    study = study_of({"model.beta": 0.01}, {}, model={"name": "beta_vaegan", "latent_size": 9})
    own = {"model.beta": 1e-4, "model.latent_size": 9, "model.latent": "mean"}
    assert enqueued_parameters(study, 0) == own | {"model.beta": 0.01}
    assert enqueued_parameters(study, 1) == own
    assert enqueued_parameters(study, 2) is None


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"model.betta": 1e-3}, ": model.betta is not searched; did you mean 'model.beta'"),
        ({"model.beta": 0.5}, r".model.beta: 0.5 is not within search.space, loguniform \[1e-06"),
        ({"model.latent_size": 3.0}, "model.latent_size: 3.0 is not within search.space, int"),
        ({"model.latent": "mode"}, "model.latent: 'mode' is not within"),
    ],
)
def test_what_the_search_could_not_draw_is_refused(named: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=rf"^s\.yaml: search\.enqueue\.0.*{words}") as raised:
        study_of(named)
    assert "\n" not in str(raised.value)


def test_the_studys_own_settings_must_lie_in_the_space_too() -> None:
    with pytest.raises(RequestError, match=r"latent_size: 50, the study's own, is not within"):
        study_of({}, model={"name": "beta_vaegan", "latent_size": 50})


def test_more_known_settings_than_trials_are_refused() -> None:
    with pytest.raises(RequestError, match=r"has 2 trials, more than search\.trials, 1"):
        study_of({}, {}, trials=1)


@pytest.mark.parametrize("part", [{"enqueue": [{}]}, {"learn_from": ["x"]}, {"confirm": 2}])
def test_a_study_of_systems_has_none(part: dict[str, Any]) -> None:
    (name,) = part
    systems = {"a": {"model": {"name": "ae"}, "metric": {"composition": "latent"}}}
    content = {"name": "s", "dataset": {"name": "synthetic"}, "search": part, "systems": systems}
    with pytest.raises(RequestError, match=rf"search\.{name}: a study of systems"):
        check_study(content, "s")


def test_what_is_searched_no_more_is_not_tried_first_either() -> None:
    study = load_study("mitbih", ["search.space.model.beta=null"])
    assert study.search.enqueue[0].keys() == study.search.space.keys()


def test_shipped_searches_try_the_papers_settings_first() -> None:
    searches = {name for name in shipped_studies() if load_study(name).search.space}
    assert searches == {*PAPER, "quickstart"}  # which has three trials, to show what there is
    for name in PAPER:
        first = enqueued_parameters(load_study(name), 0)
        assert first is not None
        assert (first["model.beta"], first["model.latent_size"]) == (1e-4, PAPER[name])
        assert first["training.discriminator_updates"] == 3

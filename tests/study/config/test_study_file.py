from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models import MODELS, components_of
from study.config.dotted_keys import flatten
from study.config.study_file import (
    check_study,
    dump_study,
    load_study,
    parse_yaml,
    shipped_studies,
    to_yaml,
)
from study.errors import RequestError
from study.scores.rules import applicable

LEAST = {"name": "a", "dataset": {"name": "synthetic"}, "model": {"name": "beta_vaegan"}}
FEW = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def stored(folder: Path, content: Any) -> str:
    path = folder / "s.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return str(path)


def again(study: Any) -> Any:
    return check_study(parse_yaml(to_yaml(dump_study(study)), "again"), "again")


# --- studies that ship ---------------------------------------------------------------------


def test_the_small_studies_ship() -> None:
    assert {"quickstart", "mitbih", "wafer"} <= shipped_studies().keys()


@pytest.mark.parametrize("name", list(shipped_studies()))
def test_a_shipped_study_loads_by_name_and_by_path_and_reads_back(name: str) -> None:
    study = load_study(name)
    assert study.name == name
    assert study == load_study(str(shipped_studies()[name]))
    assert study == again(study)


# --- round trip -----------------------------------------------------------------------------

positive = st.floats(1e-12, 1.0, exclude_min=True)
optimizers = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["adam", "adabelief"]),
        "learning_rate": positive,
        "betas": st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)).map(list),
        "epsilon": positive,
        "rectify": st.booleans(),
    },
)
trainings = st.fixed_dictionaries(
    {},
    optional={
        "epochs": st.integers(1, 10**6),
        "batch_size": st.integers(2, 10**6),
        "discriminator_updates": st.integers(1, 100),
        "precision": st.sampled_from(["float32", "tf32", "bfloat16"]),
        "validation_interval": st.integers(1, 1000),
        "optimizer": optimizers,
    },
)
models = st.one_of(
    st.fixed_dictionaries(
        {"name": st.just("beta_vaegan")},
        optional={
            "beta": st.floats(0, 1e300),
            "latent": st.sampled_from(["mean", "sampled"]),
            "latent_size": st.integers(1, 1024),
        },
    ),
    st.fixed_dictionaries(
        {"name": st.just("beatgan")},
        optional={"latent_size": st.integers(1, 1024), "nu": st.floats(0, 1e300)},
    ),
)
datasets = st.one_of(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["mitbih", "wafer", "synthetic"])},
        optional={
            "length": st.integers(1, 20).map(lambda n: 32 * n),
            "limit": st.none() | st.integers(1, 10**6),
        },
    ),
    st.fixed_dictionaries(
        {
            "name": st.just("ucr"),
            "path": st.lists(st.text(min_size=1), min_size=1, max_size=3),
            "normal_labels": st.lists(st.text() | st.integers(), min_size=1, max_size=3),
        }
    ),
)
ranges = st.tuples(st.floats(0, 10), st.floats(0, 10)).map(sorted)
spaces = st.fixed_dictionaries(
    {},
    optional={
        "model.nu": ranges.map(lambda r: {"uniform": r}),
        "model.latent_size": st.just({"logint": [2, 64]}),
        "training.batch_size": st.lists(st.integers(2, 512), min_size=1, max_size=4).map(
            lambda values: {"choice": values}
        ),
        "training.optimizer.learning_rate": st.just({"loguniform": [1e-6, 0.1]}),
    },
)
studies = st.fixed_dictionaries(
    {"name": st.from_regex(r"[a-z0-9][a-z0-9_-]{0,63}", fullmatch=True)}
    | {"dataset": datasets, "model": models},
    optional={
        "training": trainings,
        "split": st.fixed_dictionaries({"folds": st.integers(2, 100)}),
        "seed": st.integers(0, 2**63 - 1),
        "search": st.fixed_dictionaries({"space": spaces, "trials": st.integers(1, 100_000)}),
    },
)


@given(studies)
@FEW
def test_what_is_written_reads_back_as_it_was(content: dict[str, Any]) -> None:
    study = check_study(content, "f")
    assert again(study) == study
    assert dump_study(again(study)) == dump_study(study)


@given(studies)
@FEW
def test_what_a_file_says_is_what_the_study_has(content: dict[str, Any]) -> None:
    dumped = flatten(dump_study(check_study(content, "f")))
    said = flatten({part: content.get(part, {}) for part in ("model", "training", "split")})
    for key, value in said.items():
        assert dumped[key] == value, key


# --- overrides ------------------------------------------------------------------------------


def test_overrides_replace_add_and_read_yaml(tmp_path: Path) -> None:
    path = stored(tmp_path, LEAST)
    study = load_study(
        path,
        [
            "model.beta=1.0e-3",
            "training.optimizer.betas=[0.1, 0.2]",
            "dataset={name: wafer, length: 64}",
            "search.space.training.batch_size={choice: [8, 16]}",
            " split.folds = 3",
            "resources.per_fold.cpu=auto",
        ],
    )
    assert study.model.beta == 1e-3  # type: ignore[union-attr]
    assert study.training.optimizer.betas == (0.1, 0.2)
    assert (study.dataset.name, study.dataset.length) == ("wafer", 64)
    assert study.search.space["training.batch_size"].ends == (8, 16)
    assert study.split.folds == 3


def test_a_later_override_wins_and_the_seed_option_beats_the_file(tmp_path: Path) -> None:
    path = stored(tmp_path, {**LEAST, "seed": 3})
    study = load_study(path, ["split.folds=3", "split.folds=4"], seed=8)
    assert (study.split.folds, study.seed) == (4, 8)


def test_a_setting_cannot_be_searched_and_set_at_once() -> None:
    with pytest.raises(RequestError, match=r"model\.beta is searched") as raised:
        load_study("quickstart", ["model.beta=0.1"])
    assert "search.space.model.beta=null" in str(raised.value)
    fixed = load_study("quickstart", ["model.beta=0.1", "search.space.model.beta=null"])
    assert "model.beta" not in fixed.search.space
    assert fixed.model.beta == 0.1  # type: ignore[union-attr]


def test_a_searched_setting_set_with_its_whole_part_is_refused_too() -> None:
    with pytest.raises(RequestError, match="search"):
        load_study("quickstart", ["model={name: beta_vaegan, beta: 0.5}"])


# --- a model's own training defaults --------------------------------------------------------


def test_beatgan_trains_as_it_was_published() -> None:
    training = check_study({**LEAST, "model": {"name": "beatgan"}}, "f").training
    assert (training.batch_size, training.discriminator_updates) == (64, 1)
    assert training.optimizer.name == "adam"
    assert training.optimizer.learning_rate == 1e-4
    assert training.optimizer.betas == (0.5, 0.999)
    assert training.epochs == 500


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ({"batch_size": 256}, {"batch_size": 256, "discriminator_updates": 1}),
        (
            {"optimizer": {"learning_rate": 0.01}},
            {"optimizer.learning_rate": 0.01, "optimizer.name": "adam"},
        ),
        (
            {"optimizer": {"name": "adam", "epsilon": 1e-3}},
            {"optimizer.epsilon": 1e-3, "optimizer.learning_rate": 1e-4},
        ),
        (
            {"optimizer": {"name": "adabelief"}},
            {"optimizer.name": "adabelief", "optimizer.learning_rate": 2e-4},
        ),
    ],
)
def test_the_file_wins_over_the_models_defaults(
    given_: dict[str, Any], expected: dict[str, Any]
) -> None:
    study = check_study({**LEAST, "model": {"name": "beatgan"}, "training": given_}, "f")
    dumped = flatten(dump_study(study)["training"])
    assert {key: dumped[key] for key in expected} == expected


@pytest.mark.parametrize("name", list(MODELS))
def test_the_defaults_of_every_model_are_valid_training(name: str) -> None:
    metric = {"composition": applicable(components_of(MODELS[name].settings()))[0]}
    study = check_study({**LEAST, "model": {"name": name}, "search": {"metric": metric}}, "f")
    assert again(study) == study


# --- YAML that is refused -------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\na: 2",
        "a: {b: 1, b: 2}",
        "a: [{b: 1, b: 2}]",
        "1: a\n1: b",
        "a: &x 1\nb: *x",
        "a: &x [*x]",
        "a: &x {b: 1}\nc:\n  <<: *x",
        "a: !!python/object/apply:os.system ['true']",
        "a: !!python/name:os.system",
        "a: !!python/tuple [1]",
        "!unknown {a: 1}",
        "? [a, b]\n: 1",
        "? {a: b}\n: 1",
        "~: 1",
        "a: [",
        "a: 'b",
        "a:\n\t- 1",
        "a: b: c",
        "--- 1\n--- 2",
        "a: 2020-13-45",
        "%YAML 9.9\n---\na: 1",
        "a: \x00",
        "[" * 5000,
        "a: " + "9" * 5000,
        "a: !!bool maybe",
        "a: !!int ''",
        "a: !!float ''",
        "a: !!timestamp never",
        "a: !!map [1]",
        "a: !!set [1]",
        "a: !!binary '\u00e9'",
    ],
)
def test_yaml_that_is_not_plain_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(RequestError) as raised:
        parse_yaml(text, "the-file.yaml")
    assert "the-file.yaml" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_duplicate_names_its_line() -> None:
    with pytest.raises(RequestError, match=r"line 3.*duplicate key 'a'"):
        parse_yaml("a: 1\nb: 2\na: 3\n", "f")


# --- searches whose every trial can run -----------------------------------------------------


@pytest.mark.parametrize(
    ("model", "space"),
    [
        ({}, {"model.latent_size": {"uniform": [2, 64]}}),
        ({}, {"training.batch_size": {"loguniform": [8, 64]}}),
        ({}, {"training.discriminator_updates": {"uniform": [1.0, 5.0]}}),
        (
            {"name": "beatgan", "output_layer": "sigmoid"},
            {
                "model.output_layer": {"choice": ["sigmoid", "tanh"]},
                "model.reconstruction_loss": {"choice": ["mse", "bce"]},
            },
        ),
    ],
    ids=["latent_size", "batch_size", "updates", "together"],
)
def test_a_space_with_settings_that_no_trial_can_have_is_refused(
    model: dict[str, Any], space: dict[str, Any]
) -> None:
    content = {**LEAST, "model": {**LEAST["model"], **model}, "search": {"space": space}}
    with pytest.raises(RequestError, match=r"search\.space"):
        check_study(content, "f")


def test_the_setting_that_studies_had_is_refused_in_a_new_one_and_read_in_a_stored_one() -> None:
    content = {**LEAST, "search": {"trials": 3, "parallel": 4}}
    with pytest.raises(RequestError, match=r"a: search\.parallel: is no setting any more"):
        check_study(content, "a")
    stored = check_study({**content, "provenance": {"python": "3.11"}}, "a")
    assert stored.search == check_study({**LEAST, "search": {"trials": 3}}, "a").search

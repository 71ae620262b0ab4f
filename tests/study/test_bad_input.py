"""Wrong studies, by the thousand and by hand: a line each, exit 2, nothing written, no Ray."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import study.data.__main__
import study.report.__main__
import study.run
from tests.study.bad_requests import LEAST, Request, ask, names

SECTIONS = [(), *(("search", "metric"), ("search", "stopping"), ("resources", "per_fold"))] + [
    (part,) for part in ("dataset", "split", "model", "training", "scores", "search")
]
LEAVES = [
    ("name",),
    ("seed",),
    *(("dataset", key) for key in ("name", "length")),
    *(("split", key) for key in ("protocol", "folds")),
    *(("model", key) for key in ("name", "beta", "latent_size")),
    *(("training", key) for key in ("epochs", "batch_size", "optimizer")),
    ("scores", "lambda_steps"),
    *(("search", key) for key in ("trials", "metric", "space", "stopping")),
    ("search", "metric", "composition"),
    ("search", "metric", "score"),
    ("search", "space", "model.nu"),
    ("resources", "per_fold", "cpu"),
]
NEVER_RIGHT = st.one_of(
    st.just([]),
    st.lists(st.integers(), min_size=1, max_size=3),
    st.dictionaries(st.sampled_from(["zz", "q-1", "0"]), st.integers(), min_size=1),
    st.text("XYZ!\n\t'\"{é", min_size=1, max_size=20),
    st.floats(max_value=-1e-3, allow_nan=False),
    st.just(float("nan")),
    st.just(float("inf")),
    st.integers(max_value=-1),
    st.integers(min_value=2**63),
)
UNKNOWN = st.text("abcdefgh_. \n", min_size=1, max_size=12).filter(lambda key: key.strip(". \n"))


def changed(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(yaml.safe_dump(LEAST))
    inner = content
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    return content


def surely_wrong(path: tuple[str, ...], value: Any) -> Any:
    """Replace the few values that this key may have."""
    if path[-1] in ("space", "stopping") and value == []:
        return "none"
    if path[-1] == "beta" and isinstance(value, int):
        return -abs(value)
    return value


def test_what_is_changed_below_was_right(workspace: Path) -> None:
    assert ask(workspace, LEAST).code == 0


@given(st.sampled_from(LEAVES), NEVER_RIGHT)
def test_a_value_that_is_never_right_is_named(
    workspace: Path, path: tuple[str, ...], value: Any
) -> None:
    value = surely_wrong(path, value)
    ask(workspace, changed(path, value)).check("mine.yaml", path[-1])


@given(st.sampled_from(SECTIONS), UNKNOWN, NEVER_RIGHT)
def test_an_unknown_key_is_named_with_those_that_are_known(
    workspace: Path, section: tuple[str, ...], key: str, value: Any
) -> None:
    request = ask(workspace, changed((*section, key), value))
    request.check("unknown key", "allowed here: ")


@given(st.sampled_from(LEAVES[:-2]), NEVER_RIGHT)
def test_a_wrong_override_is_named(workspace: Path, path: tuple[str, ...], value: Any) -> None:
    value = surely_wrong(path, value)
    text = yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()
    ask(workspace, LEAST, "--set", f"{'.'.join(path)}={text}").check("--set", path[-1])


BY_HAND: list[tuple[Any, list[str], list[str]]] = [
    ("", [], ["must hold keys and values"]),
    ("[]", [], ["must hold keys and values"]),
    ("3", [], ["must hold keys and values"]),
    ("name: [", [], ["not valid YAML"]),
    ("a: &x 1\nb: *x", [], ["aliases"]),
    ("name: !!python/object/apply:os.system ['touch canary']", [], ["tags"]),
    ("name: a\nname: b", [], ["duplicate key 'name'"]),
    ("\x00", [], ["not valid YAML"]),
    ("\ud800", [], ["cannot be read as text"]),
    ({"name": "mine"}, [], ["dataset", "is missing"]),
    ({**LEAST, "name": "../up"}, [], ["name", "a-z"]),
    ({**LEAST, "name": "a/b"}, [], ["name", "a-z"]),
    ({**LEAST, "name": ""}, [], ["name"]),
    ({**LEAST, "name": "x" * 65}, [], ["name"]),
    ({**LEAST, "model": {"name": "__class__"}}, [], ["model.name", "beta_vaegan"]),
    ({**LEAST, "model": None}, [], ["model"]),
    ({**LEAST, "dataset": {"name": "ucr"}}, [], ["dataset"]),
    ({**LEAST, "dataset": {"name": "ucr", "path": [], "normal_labels": [1]}}, [], ["path"]),
    ({**LEAST, "dataset": {"name": "synthetic", "length": 33}}, [], ["multiple of 32"]),
    ({**LEAST, "split": {"protocol": "kfold", "folds": 1}}, [], ["folds >= 2"]),
    ({**LEAST, "systems": {"a": {}}}, [], ["systems"]),
    ({**LEAST, "search": {"sampler": "grid"}}, [], ["search.sampler", "tpe, gp", "'grid'"]),
    ({**LEAST, "search": {"trials": 10**9}}, [], ["search.trials", "100000"]),
    ({**LEAST, "search": {"space": {"model.beta": {"loguniform": [0, 1]}}}}, [], ["positive"]),
    ({**LEAST, "search": {"space": {"model.beta": {"uniform": [2, 1]}}}}, [], ["not exceed"]),
    ({**LEAST, "search": {"space": {"model.beta": {"choice": []}}}}, [], ["choice"]),
    ({**LEAST, "search": {"space": {"seed": {"int": [0, 9]}}}}, [], ["cannot be searched"]),
    (
        {**LEAST, "search": {"space": {"dataset.window.rate": {"int": [50, 200]}}}},
        [],
        ["dataset.window.rate: must be a choice, since samples are made for each value"],
    ),
    ({**LEAST, "search": {"space": {"model.latent_size": {"uniform": [2, 8]}}}}, [], ["whole"]),
    ({**LEAST, "search": {"metric": {"composition": "outlier_score"}}}, [], ["allows"]),
    ({**LEAST, "resources": {"per_fold": {"gpu": 1.5}}}, [], ["gpu", "whole number"]),
    ({**LEAST, "resources": {"per_fold": {"cpu": 1000}}}, [], ["does not fit"]),
    ({**LEAST, "resources": {"per_fold": {"cpu": "all"}}}, [], ["cpu", "auto"]),
    (LEAST, ["--set", "model"], ["key.path=value"]),
    (LEAST, ["--set", "=1"], ["key.path=value"]),
    (LEAST, ["--set", "model..beta=1"], ["key.path=value"]),
    (LEAST, ["--set", "model.beta=[1"], ["YAML"]),
    (LEAST, ["--set", "model.beta=!!python/name:os.system"], ["tags"]),
    (LEAST, ["--set", "modle.beta=1"], ["did you mean 'model'"]),
    (LEAST, ["--set", "model.nu=1"], ["is searched"]),
    (LEAST, ["--set", "name=../up"], ["--set name"]),
    (LEAST, ["--seed", "x"], ["--seed", "integer"]),
    (LEAST, ["--seed", "-1"], ["seed"]),
    (LEAST, ["--sed", "1"], ["--sed"]),
    (LEAST, ["--set"], ["--set"]),
    (LEAST, ["one too many"], ["one too many"]),
]


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    BY_HAND,
    ids=[f"{number}-{words[0]}" for number, (_, _, words) in enumerate(BY_HAND)],
)
def test_wrong_by_hand(
    content: Any, arguments: list[str], words: list[str], workspace: Path
) -> None:
    ask(workspace, content, *arguments).check(*words)
    assert not list(workspace.rglob("canary"))


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ("quikstart", ["did you mean 'quickstart'"]),
        ("none.yaml", ["does not exist"]),
        (".", ["is not known"]),
        ("/etc/passwd", ["is not known"]),
        ("a\nb.yaml", ["does not exist"]),
    ],
)
def test_a_wrong_study_is_named(request_: str, words: list[str], workspace: Path) -> None:
    Request(study.run.app, [request_], lambda: names(workspace)).check(*words)


def test_the_program_itself_answers_so_too() -> None:
    command = [sys.executable, "-m", "study.run", "quickstart", "--set", "seed=x"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env={"PYTHONPROFILEIMPORTTIME": "", "PATH": ""},
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "--set seed" in done.stderr

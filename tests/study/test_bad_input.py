"""Wrong requests, by the thousand and by hand: a line each, exit 2, nothing written, no Ray."""

import contextlib
import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import study.cluster.connection
import study.data.__main__
import study.report.__main__
import study.run

LEAST: dict[str, Any] = {
    "name": "mine",
    "dataset": {"name": "synthetic", "length": 32},
    "split": {"protocol": "paper", "folds": 2},
    "model": {"name": "beta_vaegan", "beta": 0.01, "latent_size": 3},
    "training": {"epochs": 2, "batch_size": 16, "optimizer": {"name": "adam"}},
    "scores": {"lambda_steps": 5},
    "search": {
        "trials": 2,
        "metric": {"composition": "reconstruction", "score": "auroc"},
        "space": {"model.nu": {"uniform": [0.5, 2.0]}},
        "stopping": {"grace_epochs": 1, "reduction": 2},
    },
    "resources": {"per_fold": {"cpu": 1}},
    "seed": 0,
}
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


class Answer:
    """What a command said, called in this process."""

    def __init__(self, app: Any, arguments: list[str], before: Callable[[], object]) -> None:
        errors, output = io.StringIO(), io.StringIO()
        seen = before()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["study", *arguments])
            patch.setattr(study.cluster.connection, "connected", _no_ray)
            with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(output):
                self.code = app.main()
        self.said, self.output = errors.getvalue(), output.getvalue()
        self.is_untouched = seen == before()

    def check(self, *words: str) -> None:
        assert self.code == 2, (self.code, self.said)
        assert self.said.endswith("\n")
        assert all(self.said.splitlines()), self.said
        assert "Traceback" not in self.said
        assert self.is_untouched
        for word in words:
            assert word in self.said, (word, self.said)


def _no_ray(*_: Any) -> Any:
    raise AssertionError("Ray was started")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("bad")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("STUDY_CACHE_DIR", str(folder / "cache"))
        yield folder


def ask(place: Path, content: Any, *arguments: str) -> Answer:
    """Ask for the plan of a study; what is right in spite of all then runs nothing."""
    path = place / "mine.yaml"
    text = content if isinstance(content, str) else yaml.safe_dump(content, allow_unicode=True)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return Answer(study.run.app, [str(path), "--plan", *arguments], lambda: names(place))


def names(place: Path) -> list[Path]:
    return sorted(path for path in place.rglob("*"))


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


def test_what_is_changed_below_was_right(place: Path) -> None:
    assert ask(place, LEAST).code == 0


@given(st.sampled_from(LEAVES), NEVER_RIGHT)
def test_a_value_that_is_never_right_is_named(
    place: Path, path: tuple[str, ...], value: Any
) -> None:
    value = surely_wrong(path, value)
    ask(place, changed(path, value)).check("mine.yaml", path[-1])


@given(st.sampled_from(SECTIONS), UNKNOWN, NEVER_RIGHT)
def test_an_unknown_key_is_named_with_those_that_are_known(
    place: Path, section: tuple[str, ...], key: str, value: Any
) -> None:
    answer = ask(place, changed((*section, key), value))
    answer.check("unknown key", "allowed here: ")


@given(st.sampled_from(LEAVES[:-2]), NEVER_RIGHT)
def test_a_wrong_override_is_named(place: Path, path: tuple[str, ...], value: Any) -> None:
    value = surely_wrong(path, value)
    text = yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()
    ask(place, LEAST, "--set", f"{'.'.join(path)}={text}").check("--set", path[-1])


ROWS = st.lists(st.lists(st.floats(0, 1).map(repr), min_size=4, max_size=4), min_size=3, max_size=5)
WOUNDS = ["NaN", "inf", "-inf", "", "x", "1,5", "--1", "0x1", "1e999", "\x00", "é"]


@given(ROWS, st.integers(0, 99), st.integers(0, 3), st.sampled_from([*WOUNDS, None]))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_wrong_data_file_is_named_with_its_line(
    place: Path, rows: list[list[str]], row: int, column: int, wound: str | None
) -> None:
    """A value that is no number, or, with None, one that is missing."""
    number = row % len(rows)
    rows = [list(values) for values in rows]
    if wound is None:
        rows[number] = rows[number][: column + 1] if column < 3 else [*rows[number], "0.5"]
    else:
        rows[number][column] = wound
    (place / "data.tsv").write_text("\n".join("\t".join(["1", *values]) for values in rows))
    arguments = ["check", "ucr", "--set", f"path={place / 'data.tsv'}", "--set", "length=32"]
    answer = Answer(
        study.data.__main__.app,
        [*arguments, "--set", "normal_labels=[1]", "--set", "scaling=sample"],
        lambda: names(place),
    )
    answer.check("data.tsv", "line ")


BY_HAND: list[tuple[Any, list[str], list[str]]] = [
    ("", [], ["must hold keys and values"]),
    ("[]", [], ["must hold keys and values"]),
    ("3", [], ["must hold keys and values"]),
    ("name: [", [], ["not valid YAML"]),
    ("a: &x 1\nb: *x", [], ["aliases"]),
    ("name: !!python/object/apply:os.system ['touch canary']", [], ["tags"]),
    ("name: a\nname: b", [], ["stands twice"]),
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
        ["dataset.window.rate cannot be searched", "run a study for each value"],
    ),
    ({**LEAST, "search": {"space": {"model.latent_size": {"uniform": [2, 8]}}}}, [], ["whole"]),
    ({**LEAST, "search": {"metric": {"composition": "outlier_score"}}}, [], ["allows"]),
    ({**LEAST, "resources": {"per_fold": {"gpu": 1.5}}}, [], ["gpu", "whole number"]),
    ({**LEAST, "resources": {"per_fold": {"cpu": 1000}}}, [], ["do not fit"]),
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
def test_wrong_by_hand(content: Any, arguments: list[str], words: list[str], place: Path) -> None:
    ask(place, content, *arguments).check(*words)
    assert not list(place.rglob("canary"))


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
def test_a_wrong_study_is_named(request_: str, words: list[str], place: Path) -> None:
    Answer(study.run.app, [request_], lambda: names(place)).check(*words)


def test_data_that_no_split_can_divide_is_refused_before_anything_starts(place: Path) -> None:
    np.savetxt(
        place / "few.tsv", np.column_stack([[1, 1, 1, 2], np.random.default_rng(0).random((4, 32))])
    )
    content = {
        **LEAST,
        "dataset": {
            "name": "ucr",
            "length": 32,
            "path": [str(place / "few.tsv")],
            "normal_labels": [1],
        },
    }
    (place / "few.yaml").write_text(yaml.safe_dump(content))
    arguments = [str(place / "few.yaml"), "--output", str(place / "out")]
    answer = Answer(study.run.app, arguments, lambda: (place / "out").exists())
    answer.check("split", "fewer than two samples")


@pytest.mark.parametrize("arguments", [["--plan"], []])
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dataset": {"path": "nowhere.tsv"}}, ["dataset.path: expected an existing file"]),
        ({"dataset": {"scaling": "none"}}, ["expected values in [0, 1] with scaling none"]),
        ({"split": {"protocol": "inter_patient"}}, ["split.protocol: inter_patient needs"]),
        ({"split": {"protocol": "given"}}, ["split.protocol: given needs"]),
        (
            {"dataset": {"path": "nowhere.tsv"}, "resources": {"per_fold": {"cpu": 1000}}},
            ["resources.per_fold: 2 folds with 1000 CPU", "dataset.path: expected"],
        ),
    ],
)
def test_a_plan_refuses_what_a_run_refuses_before_training(
    changes: dict[str, Any], said: list[str], arguments: list[str], place: Path
) -> None:
    values = 5 * np.random.default_rng(0).random((40, 32))
    np.savetxt(place / "rows.tsv", np.column_stack([np.arange(40) % 4 == 0, values]))
    content: dict[str, Any] = {**LEAST, "name": "own", "split": {"folds": 2}}
    content["dataset"] = {"name": "ucr", "length": 32, "path": "rows.tsv", "normal_labels": [0]}
    for part, settings_ in changes.items():
        content[part] = {**content[part], **settings_}
    (place / "own.yaml").write_text(yaml.safe_dump(content))
    request = [str(place / "own.yaml"), *arguments]
    answer = Answer(study.run.app, request, lambda: names(place / "results"))
    answer.check(*said)
    assert answer.said.count("\n") == len(said)


def test_a_plan_refuses_results_of_another_study(place: Path) -> None:
    folder = place / "results" / "mine"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.yaml").write_text(yaml.safe_dump({**LEAST, "seed": 7}))
    try:
        ask(place, LEAST).check("seed is 7 there and 0 now")
    finally:
        (folder / "study.yaml").unlink()


@pytest.mark.parametrize("content", [None, b"", b"[", b"\xff", b"name: mine", b"a: !!set {x}"])
def test_a_report_of_what_is_no_study_is_refused(content: bytes | None, place: Path) -> None:
    folder = place / "handed"
    folder.mkdir(exist_ok=True)
    (folder / "study.yaml").unlink(missing_ok=True)
    if content is not None:
        (folder / "study.yaml").write_bytes(content)
    answer = Answer(study.report.__main__.app, [str(folder)], lambda: names(place))
    answer.check("study.yaml")


@pytest.mark.parametrize(
    "provenance",
    [
        None,
        {"split_hash": {"paper": "h"}},
        {"split_hash": "h", "leakage": {"paper": []}},
        {"split_hash": {"paper": "h"}, "leakage": {"kfold": []}},
        {"split_hash": {"paper": "h"}, "leakage": {"paper": [{"shared": 1}]}},
        {"split_hash": {"paper": "h"}, "leakage": {"paper": 3}},
    ],
)
def test_a_report_of_a_study_without_facts_of_its_folds_is_refused(
    provenance: Any, place: Path
) -> None:
    folder = place / "older"
    folder.mkdir(exist_ok=True)
    content = LEAST if provenance is None else {**LEAST, "provenance": provenance}
    (folder / "study.yaml").write_text(yaml.safe_dump(content))
    answer = Answer(study.report.__main__.app, [str(folder)], lambda: names(place))
    answer.check("study.yaml", "nothing of the folds of paper", "run the study again")


def test_the_program_itself_answers_so_too(place: Path) -> None:
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

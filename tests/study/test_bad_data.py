"""Wrong data and results: a line for each problem, exit 2, nothing written, no Ray."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import study.data.__main__
import study.report.__main__
import study.run
from tests.study.bad_requests import LEAST, Request, ask, names

ROWS = st.lists(st.lists(st.floats(0, 1).map(repr), min_size=4, max_size=4), min_size=3, max_size=5)
WOUNDS = ["NaN", "inf", "-inf", "", "x", "1,5", "--1", "0x1", "1e999", "\x00", "é"]


@given(ROWS, st.integers(0, 99), st.integers(0, 3), st.sampled_from([*WOUNDS, None]))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_wrong_data_file_is_named_with_its_line(
    workspace: Path, rows: list[list[str]], row: int, column: int, wound: str | None
) -> None:
    """A value that is no number, or, with None, one that is missing."""
    number = row % len(rows)
    rows = [list(values) for values in rows]
    if wound is None:
        rows[number] = rows[number][: column + 1] if column < 3 else [*rows[number], "0.5"]
    else:
        rows[number][column] = wound
    (workspace / "data.tsv").write_text("\n".join("\t".join(["1", *values]) for values in rows))
    arguments = ["check", "ucr", "--set", f"path={workspace / 'data.tsv'}", "--set", "length=32"]
    request = Request(
        study.data.__main__.app,
        [*arguments, "--set", "normal_labels=[1]", "--set", "scaling=sample"],
        lambda: names(workspace),
    )
    request.check("data.tsv", "line ")


def test_data_that_no_split_can_divide_is_refused_before_anything_starts(workspace: Path) -> None:
    np.savetxt(
        workspace / "few.tsv",
        np.column_stack([[1, 1, 1, 2], np.random.default_rng(0).random((4, 32))]),
    )
    content = {
        **LEAST,
        "dataset": {
            "name": "ucr",
            "length": 32,
            "path": [str(workspace / "few.tsv")],
            "normal_labels": [1],
        },
    }
    (workspace / "few.yaml").write_text(yaml.safe_dump(content))
    arguments = [str(workspace / "few.yaml"), "--output", str(workspace / "out")]
    request = Request(study.run.app, arguments, lambda: (workspace / "out").exists())
    request.check("split", "fewer than two samples")


@pytest.mark.parametrize("arguments", [["--plan"], []])
@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        ({"dataset": {"path": "nowhere.tsv"}}, ["dataset.path: expected an existing file"]),
        ({"dataset": {"scaling": "none"}}, ["expected values in [0, 1] with scaling none"]),
        ({"split": {"protocol": "inter_patient"}}, ["split.protocol: inter_patient needs"]),
        ({"split": {"protocol": "given"}}, ["split.protocol: given needs"]),
        (
            {"dataset": {"path": "nowhere.tsv"}, "resources": {"per_fold": {"cpu": 1000}}},
            ["resources.per_fold: a fold with 1000 CPU", "dataset.path: expected"],
        ),
    ],
)
def test_a_plan_refuses_what_a_run_refuses_before_training(
    changes: dict[str, Any], problems: list[str], arguments: list[str], workspace: Path
) -> None:
    values = 5 * np.random.default_rng(0).random((40, 32))
    np.savetxt(workspace / "rows.tsv", np.column_stack([np.arange(40) % 4 == 0, values]))
    content: dict[str, Any] = {**LEAST, "name": "own", "split": {"folds": 2}}
    content["dataset"] = {"name": "ucr", "length": 32, "path": "rows.tsv", "normal_labels": [0]}
    for part, settings_ in changes.items():
        content[part] = {**content[part], **settings_}
    (workspace / "own.yaml").write_text(yaml.safe_dump(content))
    options = [str(workspace / "own.yaml"), *arguments]
    request = Request(study.run.app, options, lambda: names(workspace / "results"))
    request.check(*problems)
    assert request.errors.count("\n") == len(problems)


def test_a_plan_refuses_results_of_another_study(workspace: Path) -> None:
    assert ask(workspace, LEAST).code == 0
    folder = workspace / "results" / "mine"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.yaml").write_text(yaml.safe_dump({**LEAST, "seed": 7}))
    try:
        ask(workspace, LEAST).check("seed is 7 there and 0 now")
    finally:
        (folder / "study.yaml").unlink()


@pytest.mark.parametrize("content", [None, b"", b"[", b"\xff", b"name: mine", b"a: !!set {x}"])
def test_a_report_of_what_is_no_study_is_refused(content: bytes | None, workspace: Path) -> None:
    folder = workspace / "handed"
    folder.mkdir(exist_ok=True)
    (folder / "study.yaml").unlink(missing_ok=True)
    if content is not None:
        (folder / "study.yaml").write_bytes(content)
    request = Request(study.report.__main__.app, [str(folder)], lambda: names(workspace))
    request.check("study.yaml")


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
    provenance: Any, workspace: Path
) -> None:
    folder = workspace / "older"
    folder.mkdir(exist_ok=True)
    content = LEAST if provenance is None else {**LEAST, "provenance": provenance}
    (folder / "study.yaml").write_text(yaml.safe_dump(content))
    request = Request(study.report.__main__.app, [str(folder)], lambda: names(workspace))
    request.check("study.yaml", "nothing of the folds of paper", "run the study again")

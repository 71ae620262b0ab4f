import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from study.config.error_messages import setting_keys
from study.config.schema import Study
from study.config.study_file import flatten, load_study, shipped_studies
from study.terminal.completion import complete_setting, complete_study

PROGRAM = Path(sys.executable).with_name("study-run")


def test_every_setting_of_the_shipped_studies_has_its_key() -> None:
    keys = set(setting_keys())
    named = (
        "search.space.",
        "systems.",
        "scores.compositions.",
    )  # what follows is named by the file
    for name in shipped_studies():
        settings = flatten(load_study(name).model_dump(mode="json", by_alias=True))
        assert {key for key in settings if not key.startswith(named)} <= keys
    assert set(Study.model_fields) <= {key.rstrip("_") for key in keys} | {"model"}


def test_a_key_is_completed_up_to_its_value() -> None:
    assert complete_setting("training.ep") == ["training.epochs="]
    assert "model.beta=" in complete_setting("model.")
    assert "model=" not in complete_setting("")  # its settings are
    assert complete_setting("nothing") == []


def test_a_study_is_completed() -> None:
    assert complete_study("paper_") == ["paper_mitbih", "paper_wafer"]
    assert complete_study("") == list(shipped_studies())


@pytest.mark.skipif(not PROGRAM.exists(), reason="the programs are not installed")
@pytest.mark.parametrize(
    ("words", "expected"),
    [("study-run quick", "quickstart"), ("study-run mitbih --set split.pro", "split.protocol=")],
)
def test_the_shell_is_answered(words: str, expected: str) -> None:
    bash = shutil.which("bash")
    assert bash
    script = subprocess.run(
        [PROGRAM],
        env={**os.environ, "_STUDY_RUN_COMPLETE": "source_bash"},
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    typed = words.split()
    asking = (
        f"{script}\nCOMP_WORDS=({words}); COMP_CWORD={len(typed) - 1}; _study_run_completion"
        ' "$1"; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    path = os.pathsep.join([str(PROGRAM.parent), os.environ["PATH"]])
    answered = subprocess.run(
        [bash, "-c", asking, "bash", str(PROGRAM)],
        env={**os.environ, "PATH": path},
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert answered.split() == [expected]

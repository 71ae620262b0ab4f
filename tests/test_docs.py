"""What the documentation tells people to run is run, as it stands there."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.study.report.page.conftest import Reported, one_thread, searched

__all__ = ["one_thread", "searched"]  # fixtures

DOCS = Path(__file__).parents[1] / "docs"
NOT_CODE = shutil.ignore_patterns("__pycache__")
LIBRARIES = ("pandas", "polars", "duckdb")


def recipes() -> list[Any]:
    """The code of each question, by library."""
    found = []
    for part in (DOCS / "analysis.md").read_text().split("\n## ")[1:]:
        blocks = re.findall(r"```python\n(.*?)```", part, re.DOTALL)
        if blocks:
            found.append(pytest.param(blocks, id=part.splitlines()[0]))
    return found


def answered(code: str, results: Path) -> pd.DataFrame:
    assert 'RESULTS = "results/mitbih"' in code
    names: dict[str, Any] = {}
    exec(code.replace("results/mitbih", str(results)), names)
    answer = names["answer"]
    if isinstance(answer, pd.DataFrame):
        return answer.reset_index(drop=True)
    return answer.df() if hasattr(answer, "df") else answer.to_pandas()


@pytest.mark.parametrize("blocks", recipes())
def test_the_three_libraries_give_one_answer(blocks: list[str], searched: Reported) -> None:
    assert [re.findall(r"^import (\w+)$", code, re.MULTILINE) for code in blocks] == [
        [name] for name in LIBRARIES
    ]
    first, *others = (answered(code, searched.page.parents[1]) for code in blocks)
    assert len(first)
    assert first.notna().all(axis=None)
    for other in others:
        pd.testing.assert_frame_equal(other, first, check_dtype=False)


def test_the_best_is_the_one_that_the_page_names(searched: Reported) -> None:
    code = re.findall(r"```python\n(.*?)```", (DOCS / "analysis.md").read_text(), re.DOTALL)[0]
    (row,) = answered(code, searched.page.parents[1]).to_dict("records")
    assert f"is best: weighted F₁ {row['test']:.3f}" in searched.text
    assert row["trial"] == "trial-00000"


@pytest.mark.parametrize("page", ["new_dataset", "new_model", "new_composition"])
def test_what_a_page_tells_to_write_works(page: str, tmp_path: Path) -> None:
    for package in ("models", "study", "search_spaces"):
        shutil.copytree(DOCS.parent / package, tmp_path / package, ignore=NOT_CODE)
    blocks = re.findall(r"```(\w+)\n(.*?)```", (DOCS / f"{page}.md").read_text(), re.DOTALL)
    *written, (language, tried) = blocks
    assert language == "python"
    for language, code in written:
        head, body = code.split("\n", 1)
        target = tmp_path / head.removeprefix("# ")
        if language == "diff":
            target.write_text(applied(body, target.read_text()))
        else:
            assert not target.exists()
            target.write_text(body)
    done = subprocess.run(
        [sys.executable, "-c", tried], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def applied(diff: str, text: str) -> str:
    """Return a file's text after a change, whose surroundings must be there once."""
    lines = diff.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if line[0] in " -")
    after = "".join(line[1:] for line in lines if line[0] in " +")
    assert text.count(before) == 1, before
    return text.replace(before, after)

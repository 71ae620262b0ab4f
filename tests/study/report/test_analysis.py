"""The questions of docs/analysis.md, answered as the page tells people to."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.study.report.trained import Reported

PAGE = Path(__file__).parents[3] / "docs/analysis.md"
LIBRARIES = ("pandas", "polars", "duckdb")


def recipes() -> list[Any]:
    """The code of each question, by library."""
    found = []
    for part in PAGE.read_text().split("\n## ")[1:]:
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
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]
    (row,) = answered(code, searched.page.parents[1]).to_dict("records")
    assert f"is best: weighted F₁ {row['test']:.3f}" in searched.text
    assert row["trial"] == "trial-00000"

import re
from pathlib import Path

import pytest

from study.report.columns import attributes, documented_columns, to_markdown
from study.scores.evaluation import ScoreRow
from tests.study.report.trained import Reported

PAGE = Path(__file__).parents[3] / "docs/columns.md"


def test_the_page_is_what_the_code_says() -> None:
    made = "".join(f"{line}\n" for line in to_markdown(documented_columns()))
    assert PAGE.read_text() == made, "run: python -m study.report.columns > docs/columns.md"


def pattern(column: str) -> str:
    """What a documented name matches; `<...>` stands for anything."""
    names = [re.sub("<[a-z]+>", ".+", re.escape(name)) for name in column.split(", ")]
    return "|".join(f"(?:{name})" for name in names)


@pytest.mark.parametrize("made", ["searched", pytest.param("of_systems", marks=pytest.mark.slow)])
def test_every_column_there_is_is_documented(request: pytest.FixtureRequest, made: str) -> None:
    tables = request.getfixturevalue(made).report.tables
    documented = documented_columns()
    for name, table in tables.items():
        # The losses are a model's own, so that `<loss>` would match anything.
        known = [c for c in documented[name] if c != "<loss>"]
        losses = {c for c in table.column_names if name == "epochs" and "/" not in c}
        for column in table.column_names:
            is_known = any(re.fullmatch(pattern(each), column) for each in known)
            assert is_known or column in losses, f"{name}.{column}"


def test_every_plain_column_of_the_scores_is_there(searched: Reported) -> None:
    documented = documented_columns()
    for name in ("scores", "timings", "strata", "prevalence"):
        plain = [
            column
            for column, meaning in documented[name].items()
            if "<" not in column and not meaning.startswith("of series: ")
        ]
        there = searched.report.tables[name].column_names
        assert [column for column in there if not column.startswith("param.")] == plain


def test_meanings_come_from_the_classes_and_their_bases() -> None:
    found = attributes(ScoreRow)
    assert found["tau"] == "threshold; may be infinite"
    assert found["phi"] == "Matthews correlation, in [-1, 1]"
    assert found["note"].startswith("why there are no numbers")

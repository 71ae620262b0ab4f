"""The questions of docs/analysis.md, answered as the page tells people to."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from study.config.study_file import check_study
from study.report.build import build_report
from tests.study.report.trained import PARTS, Reported, facts_of, trained
from tests.study.trials import trial_of

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


@pytest.fixture(scope="module")
def of_ae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of two trials of a search of the autoencoder, by R alone."""
    space = {"model.latent_size": {"int": [2, 4]}}
    search = {"trials": 2, "space": space, "metric": {"composition": "reconstruction"}}
    training = {**PARTS["training"], "epochs": 2}
    content = {"name": "of_ae", "model": {"name": "ae", "width": 4}, "search": search, **PARTS}
    study = check_study(content | {"training": training}, "of_ae.yaml")
    trials = [trial_of(study, n, {"model.latent_size": n + 2}) for n in range(2)]
    results = trained(tmp_path_factory.mktemp("of_ae"), study, trials)
    assert build_report(study, facts_of(study), results, "serial") is not None
    return Path(results.locate())


@pytest.mark.parametrize("study", ["searched", "of_ae"])
@pytest.mark.parametrize("blocks", recipes())
def test_the_three_libraries_give_one_answer(
    blocks: list[str], study: str, request: pytest.FixtureRequest
) -> None:
    """Of a search of beta-VAEGAN, and of one of a model with a single error and no beta."""
    made = request.getfixturevalue(study)
    results = made if isinstance(made, Path) else made.page.parents[1]
    assert [re.findall(r"^import (\w+)$", code, re.MULTILINE) for code in blocks] == [
        [name] for name in LIBRARIES
    ]
    first, *others = (answered(code, results) for code in blocks)
    assert len(first)
    assert first.notna().all(axis=None)
    for other in others:
        pd.testing.assert_frame_equal(other, first, check_dtype=False)


def test_the_best_is_the_one_that_the_page_names(searched: Reported) -> None:
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]
    row = answered(code, searched.page.parents[1]).to_dict("records")[0]
    assert f"is best: weighted F₁ {row['f1_weighted_mean']:.3f}" in searched.text
    assert row["trial"] == "trial-00000"

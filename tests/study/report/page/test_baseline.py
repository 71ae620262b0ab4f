import shlex
from pathlib import Path
from typing import Any

import pytest

from study.config.study_file import check_study, dump_study, load_study, to_yaml
from study.report.page.baseline import simple_model_commands
from tests.study.report.page.text import visible_text
from tests.study.report.trained import PARTS, SEARCH, Reported

SYSTEMS = {"ae": {"model": {"name": "ae", "width": 4}, "metric": {"composition": "latent"}}}

SCORED = {
    **SEARCH,
    "name": "scored",
    "dataset": {"name": "mitbih", "window": "centred", "components": "record"},
    "scores": {
        "compositions": {
            "both": {"components": ["reconstruction_error", "latent_norm"], "rule": "quantile"},
            "early": {"components": ["prematurity"], "rule": "fixed", "thresholds": [0.15]},
        }
    },
    "measures": {"tracked": ["both", "early", "lambda_grid"]},
}


@pytest.mark.parametrize(
    "content",
    [
        SEARCH,
        {"name": "systems", "systems": SYSTEMS, **PARTS},
        {
            "name": "named",
            "systems": {**SYSTEMS, "vae": {**SYSTEMS["ae"], "model": {"name": "vae"}}},
            "comparisons": {"named": {"beta": [["ae", "vae"]]}},
            **PARTS,
        },
        SCORED,
    ],
)
def test_the_commands_train_a_simple_model_on_the_same_folds(
    content: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = check_study(content, "study.yaml")
    monkeypatch.chdir(tmp_path)
    Path(f"{study.name}.yaml").write_text(to_yaml(dump_study(study)))
    commands = simple_model_commands(study, study.dataset)
    train, compare = (shlex.split(command) for command in commands)
    assert train[:3] == ["python", "-m", "study.run"]
    assert set(train[4::2]) == {"--set"}
    simple = load_study(train[3], train[5::2])
    assert simple.model_names == ("knn",)
    assert (simple.dataset, simple.split, simple.seed) == (study.dataset, study.split, study.seed)
    assert simple.search.metric.score == study.search.metric.score
    usable = set(study.scores.compositions) - {"both"}
    assert set(simple.scores.compositions) == usable
    assert compare[3:] == [f"results/{study.name}", f"results/{simple.name}"]
    other = study.dataset.model_copy(update={"limit": 70})
    train = shlex.split(simple_model_commands(study, other)[0])
    assert load_study(train[3], train[5::2]).dataset == other


def test_an_answer_without_a_simple_model_says_so_before_its_tables(searched: Reported) -> None:
    start = visible_text(searched.text[: searched.text.index("<table")])
    assert "Whether a network is needed is open: no simple model" in start
    for command in simple_model_commands(searched.study, searched.study.dataset):
        assert command in start


@pytest.mark.slow
def test_one_with_a_simple_model_does_not(of_systems: Reported) -> None:
    assert "Whether a network is needed" not in of_systems.text

"""Whoever says what a study has reached says the same: one trial, one composition, one number."""

import io
import re
from pathlib import Path

import pandas as pd
from rich.console import Console

from study import load_detector
from study.ledger.answer import answers
from study.ledger.ledger import Ledger
from study.terminal.summary import show_summary
from study.training.hparams import write_outcomes
from tests.study.report.trained import Reported
from tests.study.training.event_files import accumulated


def test_page_terminal_card_score_and_tensorboard_give_one_answer(
    searched: Reported, tmp_path: Path
) -> None:
    """Of a search whose metric's composition is not the one that is best on validation."""
    ledger = Ledger(searched.results.folder("ledger"))
    (answer,) = answers(searched.study, ledger.trials())
    trial, composition = answer.record.name, answer.composition
    summary = pd.read_parquet(io.BytesIO(searched.results.read("summary.parquet")))
    own = summary.query("trial == @trial and epoch_rule == 'best_validation'")
    (row,) = own[own["composition"] == composition].to_dict("records")
    assert own[own["of_metric"]]["composition"].tolist() == [composition]
    mean = f"{row['f1_weighted_mean']:.3f}"

    headline = re.findall(r"<h1>(.*?)</h1>", searched.text, re.DOTALL)[0]
    assert headline.startswith(f"{trial.capitalize()} is best: weighted F₁ {mean}")
    console = Console(file=io.StringIO(), width=120, force_terminal=False)
    ended, tables = searched.ended(), searched.report.tables
    show_summary(console, searched.study, ended, tables["summary"], answer.record)
    assert isinstance(console.file, io.StringIO)
    printed = console.file.getvalue()
    (starred,) = (line for line in printed.splitlines() if line.startswith(f"{composition} *"))
    shown = sum(not record.trial.is_repetition for record in ended)
    assert f"{trial} is the best of {shown} trial(s)" in printed
    assert f" {mean}" in starred
    card = searched.results.read("report/MODEL_CARD.md").decode()
    assert f"With composition `{composition}`, on test: weighted F1 {mean} [" in card
    assert load_detector(f"{searched.results.locate()}/ledger/{trial}").folds[0].composition == (
        composition
    )
    folder = type(searched.results)(tmp_path)
    write_outcomes(ledger.trials(), folder, tables["summary"])
    (event,) = accumulated(tmp_path / "tensorboard" / trial).Scalars("answer/f1_weighted")
    assert f"{event.value:.3f}" == mean

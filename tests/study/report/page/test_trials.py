import html
import io
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from study.config.study_file import check_study
from study.ledger.ledger import Ledger
from study.report.page import inputs as page_inputs
from study.report.page import kept_samples
from study.report.page.build import page_facts, page_sections
from study.report.page.charts import page_style
from study.report.page.confirmation import confirmation_sections
from study.report.page.inputs import PageInputs
from study.report.page.parts import distinct_decimals, had_and_needed, p_value, shown_value
from study.report.page.search import search_sections
from study.report.page.training import trial_curves
from study.report.page.trials import trials_section
from study.report.search_history import rungs_table
from study.search.trial import RungDecision, TrialRecord
from study.storage.folder import open_folder
from tests.study.report.page.unreported import STUDY, trials, unreported
from tests.study.report.trained import SEARCH, Reported
from tests.study.trials import record_of, trial_of

MARK = re.compile(r'<(use|path)[^>]* data-trial="(\d+)"/>')


def listed(made: Reported) -> pd.DataFrame:
    """The table of trials as the page has it: values where a cell has one, else its text."""
    start = made.text.index('<table data-key="trials">')
    table = made.text[start : made.text.index("</table>", start)]
    head = [
        html.unescape(name.replace("<wbr>", ""))
        for name in re.findall(r"<th[^>]*>(.*?)</th>", table)
    ]
    rows = []
    for row in re.findall(r"<tr[^>]* data-row.*?>(.*?)</tr>", table, re.DOTALL):
        cells = re.findall(r'<td[^>]*?(?: data-value="([^"]*)")?>(.*?)</td>', row, re.DOTALL)
        rows.append([html.unescape(value or text) for value, text in cells])
    return pd.DataFrame(rows, columns=head)


def test_every_trial_has_its_settings_its_end_and_its_metric(searched: Reported) -> None:
    records = {r.name: r for r in Ledger(searched.results.folder("ledger")).trials()}
    frame = listed(searched)
    assert sorted(frame["trial"]) == sorted(records)
    for row in frame.to_dict("records"):
        record = records[str(row["trial"])]
        for key, value in record.trial.parameters.items():
            assert type(value)(row[key]) == value
        state = {"completed": "completed", "pruned": "stopped early", "failed": "failed"}
        assert str(row["state"]).startswith(state[record.state])
        assert int(row["epochs"]) == max((epoch for epoch, _ in record.values), default=0)
        if record.values:
            shown = float(row["f1_weighted on validation"])
            assert shown == max(value for _, value in record.values)
    assert "needed" in frame.set_index("trial")["state"]["trial-00001"]
    assert "discriminator_loss is nan" in frame.set_index("trial")["state"]["trial-00002"]


@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [
        (0.9761, 0.9758, ("0.9761", "0.9758")),
        (0.5, 0.4, ("0.500", "0.400")),
        (0.5, 0.5, ("0.500", "0.500")),
        (0.5, math.nan, ("0.500", "–")),
    ],
)
def test_two_numbers_have_as_many_digits_as_show_which_is_larger(
    one: float, other: float, shown: tuple[str, str]
) -> None:
    assert distinct_decimals(one, other) == shown


def test_an_error_is_shown_as_it_is_measured() -> None:
    """It is ranked by its negative, which nobody has measured."""
    rung = {"value": -0.00121, "cutoff": -0.00118}
    assert had_and_needed(rung, is_error=True) == ("0.00121", "0.00118")
    assert had_and_needed({"value": 0.81, "cutoff": 0.82}, is_error=False) == ("0.810", "0.820")
    assert shown_value(-0.00121, is_error=True) == "0.0012"
    assert shown_value(0.8125, is_error=False) == "0.812"
    first = {"confirmed_value": -0.00148, "folds": 2, "against": "", "p": np.nan}
    rest = ("test_value", "confirmed_test_value", "difference", "low", "high", "p_holm")
    row = {"trial": "trial-00003", "value": -0.00121, **first, **dict.fromkeys(rest, np.nan)}
    study = check_study(
        {
            "name": "normals",
            "dataset": {"name": "synthetic"},
            "model": {"name": "pca"},
            "search": {
                "metric": {"composition": "reconstruction_quantile", "score": "normal_error"}
            },
        },
        "normals.yaml",
    )
    tables = {"confirmed": pa.Table.from_pylist([row])}
    (section,) = confirmation_sections(PageInputs(study, [], tables, open_folder("nowhere")))
    assert section.lede.startswith("trial-00003 had 0.0012, and 0.0015 again.")
    assert [cell.text for cell in section.tables[0].rows[0]][2:] == ["0.0012", "0.0015"]


@pytest.mark.parametrize(
    ("p", "shown"), [(0.0, "<0.001"), (0.0004, "<0.001"), (0.0006, "0.001"), (math.nan, "–")]
)
def test_a_small_p_is_not_shown_as_none(p: float, shown: str) -> None:
    assert p_value(p) == shown


@pytest.mark.parametrize(
    ("planned", "patience", "fact"),
    [(3, 2, "3 trials"), (5, None, "3 of 5 trials"), (5, 9, "3 of 5 trials"),
     (5, 2, "3 of 5 trials, ended by its budget")],
)  # fmt: skip
def test_the_page_begins_with_how_many_trials_there_are_of_those_planned(
    planned: int, patience: int | None, fact: str
) -> None:
    search = {**SEARCH["search"], "trials": planned, "budget": {"without_improvement": patience}}
    study = check_study({**SEARCH, "search": search}, "searched.yaml")
    values = [0.5, 0.4, 0.3]
    records = [record_of(trial_of(study, n), values=[(4, v)], completion_order=n)
               for n, v in enumerate(values)]  # fmt: skip
    assert page_facts(PageInputs(study, records, {}, open_folder("nowhere")))[-1] == fact


def test_completed_trials_are_first_by_their_values_and_failed_ones_last() -> None:
    records = trials(STUDY, 40)
    records.append(record_of(trial_of(STUDY, 40, records[0].trial.parameters), "failed", (), 40))
    (table,) = trials_section(unreported(records[::-1])).tables
    completed = sorted((r for r in records if r.state == "completed"), key=best_value)[::-1]
    stopped = sorted((r for r in records if r.state == "pruned"), key=best_value)[::-1]
    expected = [*completed, *stopped, records[-1]]
    assert [row[0].text for row in table.rows] == [record.name for record in expected]
    assert table.marked == {0}


def test_a_race_shows_how_many_folds_each_trial_had() -> None:
    stopping = STUDY.search.stopping
    assert stopping is not None
    search = STUDY.search.model_copy(
        update={"stopping": stopping.model_copy(update={"folds": (1,)})}
    )
    study = STUDY.model_copy(update={"search": search})
    records = [
        record_of(trial_of(study), values=[(4, 0.5)]),
        replace(record_of(trial_of(study, 1), "pruned", [(2, 0.75)], 1), num_folds=1),
    ]
    (table,) = trials_section(PageInputs(study, records, {}, open_folder("nowhere"))).tables
    folds = table.head.index("folds")
    assert [row[folds].text for row in table.rows] == [str(study.split.folds), "1"]
    (plain,) = trials_section(PageInputs(STUDY, records, {}, open_folder("nowhere"))).tables
    assert "folds" not in plain.head


def test_a_stopped_trial_says_what_stopped_it() -> None:
    records = [record_of(trial_of(STUDY, n), "pruned", [(2, 0.5)], n) for n in (0, 1, 3)]
    decisions = [
        RungDecision("trial-00002", 2, 0.75, goes_on=True, order=0),
        RungDecision("trial-00000", 2, 0.5, goes_on=False, order=1),
        RungDecision("trial-00001", 2, 0.5, goes_on=False, order=2, rule="budget"),
        RungDecision("trial-00003", 2, 0.5, False, 3, None, "paired", "trial-00002", 0.0123),
    ]
    tables = {"rungs": rungs_table(decisions, STUDY.search, STUDY.split.folds)}
    (table,) = trials_section(PageInputs(STUDY, records, tables, open_folder("nowhere"))).tables
    assert [row[table.head.index("state")].text for row in table.rows] == [
        "stopped early<small>had 0.500 at epoch 2, needed 0.750</small>",
        "stopped early<small>had 0.500 at epoch 2, when the budget was spent</small>",
        "stopped early<small>had 0.500 at epoch 2, worse than trial-00002 (p 0.012)</small>",
    ]


def best_value(record: TrialRecord) -> float:
    return max(value for _, value in record.values)


def test_test_values_are_those_of_the_metrics_composition(searched: Reported) -> None:
    scores = pd.read_parquet(io.BytesIO(searched.results.read("scores.parquet"))).query(
        "epoch_rule == 'best_validation' and composition == 'lambda_grid'"
    )
    frame = listed(searched).set_index("trial")
    for name, folds in scores.groupby("trial")["f1_weighted"]:
        assert float(frame["f1_weighted on test"][name]) == pytest.approx(folds.mean(), abs=1e-15)
        each = [float(value) for value in frame["by fold on test"][name].split()]
        np.testing.assert_allclose(each, folds, atol=5e-4)
    timings = pd.read_parquet(io.BytesIO(searched.results.read("timings.parquet")))
    seconds = (timings["train_seconds"] + timings["evaluate_seconds"]).groupby(timings["trial"])
    for name, total in seconds.sum().items():
        assert float(frame["seconds of its folds"][str(name)]) == pytest.approx(total)


@pytest.mark.parametrize("made", ["searched", pytest.param("of_systems", marks=pytest.mark.slow)])
def test_links_to_files_lead_somewhere(made: str, request: pytest.FixtureRequest) -> None:
    page: Reported = request.getfixturevalue(made)
    start = page.text.index('<table data-key="trials">')
    table = page.text[start : page.text.index("</table>", start)]
    links = re.findall(r'<a href="([^"]+)">(\w+)</a>', table)
    ended = Ledger(page.results.folder("ledger")).trials()
    completed = sum(record.state == "completed" for record in ended)
    assert [what for _, what in links].count("ledger") == len(ended)
    assert [what for _, what in links].count("card") == (completed if made == "of_systems" else 1)
    for where, what in links:
        assert what == "TensorBoard" or (page.page.parent / where).exists()


def test_pictures_have_a_mark_of_each_trial_that_they_can_show() -> None:
    records = trials(STUDY, 60)
    inputs = unreported(records)
    with page_style():
        sections = {section.key: section for section in search_sections(inputs)}
        curves = trial_curves(inputs)
    assert curves is not None
    valued = sorted(str(record.trial.number) for record in records)
    stopped = [str(r.trial.number) for r in records if r.state == "pruned"]
    assert numbers(sections["over-time"].pictures[0].svg) == valued
    for picture in sections["settings"].pictures:
        assert numbers(picture.svg) == valued
    assert numbers(sections["parallel"].pictures[0].svg) == valued
    assert numbers(curves.svg) == sorted([*valued, *stopped])


def numbers(svg: str) -> list[str]:
    return sorted(number for _, number in MARK.findall(svg))


def test_a_mark_is_where_its_trial_is() -> None:
    """Places in the picture are linear in the trial's number and in its best value."""
    records = trials(STUDY, 30)
    with page_style():
        picture = search_sections(unreported(records))[0].pictures[0]
    marks = re.findall(r'<use[^>]* x="([\d.]+)" y="([\d.]+)" data-trial="(\d+)"/>', picture.svg)
    points = {int(number): (float(x), float(y)) for x, y, number in marks}
    for values, axis in (
        ([record.trial.number for record in records], 0),
        ([record.best_value for record in records], 1),
    ):
        at = [points[record.trial.number][axis] for record in records]
        assert abs(np.corrcoef(values, at)[0, 1]) == pytest.approx(1, abs=1e-6)


def test_of_many_trials_an_even_part_and_the_best_are_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(page_inputs, "MOST_TRIALS", 11)
    records = trials(STUDY, 101)
    inputs = unreported(records)
    best = max((r for r in records if r.state == "completed"), key=lambda record: record.best_value)
    shown = [record.trial.number for record in inputs.listed]
    assert shown == sorted({*range(0, 101, 10), best.trial.number})
    section = trials_section(inputs)
    assert len(section.tables[0].rows) == len(shown)
    assert f"Of 101 trials {len(shown)} are shown here" in section.notes[0]


@pytest.mark.slow
def test_every_fold_has_its_part_of_the_kept_samples_the_ends_of_its_classes_first(
    searched: Reported, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_samples, "MOST_KEPT", 15)
    inputs = PageInputs(
        searched.study,
        Ledger(searched.results.folder("ledger")).trials(),
        searched.report.tables,
        searched.results,
    )
    (section,) = kept_samples.kept_samples_section(inputs)
    (table,) = section.tables
    names = [table.head.index(name) for name in ("fold", "sample")]
    shown = [tuple(row[i].text for i in names) for row in table.rows]
    every = 0
    for fold in ("0", "1"):
        folder = Path(searched.results.locate(f"ledger/trial-00000/fold-{fold}"))
        extremes, drawn = (
            set(pd.read_parquet(folder / f"{name}.parquet")["sample"])
            for name in ("extremes", "reconstructions")
        )
        every += len(extremes | drawn)
        own = {int(sample) for number, sample in shown if number == fold}
        assert len(own) == 7
        assert extremes <= own
    assert len(shown) == 14
    (note,) = section.notes
    assert note.startswith(f"At most 7 of each fold are here; {every - 14} more kept samples in")


@pytest.mark.slow
def test_kept_samples_are_those_of_all_folds_and_their_curves_give_their_errors(
    searched: Reported,
) -> None:
    inputs = PageInputs(
        searched.study,
        Ledger(searched.results.folder("ledger")).trials(),
        searched.report.tables,
        searched.results,
    )
    with page_style():
        section = {s.key: s for s in page_sections(inputs)}["kept-samples"]
    curves, (table,) = section.curves, section.tables
    assert curves is not None
    column = table.head.index("R")
    shown = [float(row[column].value) for row in table.rows]
    assert shown == sorted(shown, reverse=True)
    kept = set()
    for fold in range(2):
        folder = Path(searched.results.locate(f"ledger/trial-00000/fold-{fold}"))
        for name in ("reconstructions", "extremes"):
            frame = pd.read_parquet(folder / f"{name}.parquet")
            kept |= {(str(fold), str(sample)) for sample in frame["sample"]}
    names = [table.head.index(name) for name in ("fold", "sample")]
    assert {tuple(row[i].text for i in names) for row in table.rows} == kept
    for key, error in zip(table.row_keys, shown, strict=True):
        real, reconstructed = (np.array(line) * curves.unit for line in curves.rows[key])
        assert np.mean((real - reconstructed) ** 2) == pytest.approx(error, rel=0.02, abs=1e-5)

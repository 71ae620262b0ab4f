import base64
import hashlib
import html
import io
import re
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pandas as pd
import pyarrow as pa
import pytest
import yaml

from study.config.study_file import check_study, dump_study
from study.errors import StudyFailedError
from study.ledger import fold_files
from study.ledger.ledger import Ledger
from study.report.page.build import PAGE, write_page
from study.report.page.charts import page_style
from study.report.page.comparisons import comparison_sections
from study.report.page.errors import error_sections
from study.report.page.inputs import PageInputs
from study.search.trial import FoldAddress
from study.storage.folder import LocalFolder
from tests.study.report.page.text import visible_text
from tests.study.report.trained import FAILURE, Reported


@pytest.fixture(params=["searched", pytest.param("of_systems", marks=pytest.mark.slow)])
def made(request: pytest.FixtureRequest) -> Reported:
    reported: Reported = request.getfixturevalue(request.param)
    return reported


def rows_of(page: str, caption: str) -> list[list[str]]:
    """The body of the first table whose caption begins so."""
    start = page.index(f'<p class="caption">{html.escape(caption, quote=False)}')
    body = page[page.index("<tbody>", start) : page.index("</tbody>", start)]
    return [
        [visible_text(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)]
        for row in re.findall(r"<tr[^>]*>(.*?)</tr>", body, re.DOTALL)
    ]


def means(made: Reported, metric: str) -> pd.Series:
    """Means over folds at the best epoch, by trial, composition and form, from the scores."""
    scores = pd.read_parquet(io.BytesIO(made.results.read("scores.parquet")))
    best = scores[scores["epoch_rule"] == "best_validation"]
    return best.groupby(["trial", "composition", "latent_form"], sort=False)[metric].mean()


def test_the_same_ledger_gives_the_same_bytes(made: Reported) -> None:
    before = made.page.read_bytes()
    write_page(made.study, made.results, made.report.tables)
    assert made.page.read_bytes() == before


def test_the_page_needs_no_other_file_and_no_network(made: Reported) -> None:
    """What is loaded is in the page; what is linked to is only there for who follows it."""
    assert not re.search(r"<script[^>]+src|<link[^>]+stylesheet|@import|url\([^#]", made.text)
    assert all(
        at.startswith("data:") for at in re.findall(r'(?:src|xlink:href)="([^#"]+)"', made.text)
    )
    assert re.findall(r'<link[^>]* href="([^"]+)"', made.text) == ["data:,"]


def test_the_policy_lets_the_page_run_its_own_script_and_load_nothing(made: Reported) -> None:
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', made.text)
    (script,) = re.findall(r'<script type="module">(.*?)</script>', made.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"'sha256-{digest}'"
    assert not re.search(
        r"\son\w+=", re.sub(r"<script.*?</script>", "", made.text, flags=re.DOTALL)
    )


def test_what_is_linked_is_there_and_no_name_stands_twice(made: Reported) -> None:
    names = re.findall(r' id="([^"]+)"', made.text)
    assert len(names) == len(set(names))
    linked = set(re.findall(r'href="#([^"]+)"', made.text)) | set(
        re.findall(r"url\(#([^)]+)\)", made.text)
    )
    assert linked <= set(names)


def test_the_answer_is_of_the_studys_metric_whatever_others_score(searched: Reported) -> None:
    mean = means(searched, "f1_weighted")["trial-00000", "lambda_grid", ""]
    headline = visible_text(re.findall(r"<h1>.*?</h1>", searched.text, re.DOTALL)[0])
    assert headline == f"Trial-00000 is best: weighted F₁ {mean:.3f} with λ by grid"
    assert "chosen on validation by f1_weighted of lambda_grid" in visible_text(searched.text)


def test_the_best_epoch_of_the_mean_and_those_of_the_folds_are_told_apart(
    searched: Reported,
) -> None:
    """By their names, beside the curves and where choices by labels are compared."""
    ledger = Ledger(searched.results.folder("ledger"))
    values = []
    for fold in range(2):
        manifest = ledger.fold(FoldAddress("trial-00000", fold))
        assert manifest is not None
        history = pd.read_parquet(io.BytesIO(ledger.read(manifest, fold_files.HISTORY)))
        values.append(history.set_index("epoch")["value"].dropna())
    text = visible_text(searched.text)
    of_folds, of_mean = sum(max(each) for each in values) / 2, max(sum(values) / 2)
    assert f"each fold’s best epoch, mean {of_folds:.3f}" in text
    assert f"best epoch of the mean over folds, {of_mean:.3f}" in text
    rows = rows_of(searched.text, "the epoch: each fold at one of its own, then the mean")
    assert rows[0][2:4] == ["best on validation, by labels", f"{of_folds:.3f}"]


def test_every_composition_has_its_means_over_folds(searched: Reported) -> None:
    shown = rows_of(searched.text, "trial-00000: every composition")
    columns = {1: "f1_weighted", 3: "phi", 4: "auroc", 5: "auroc_labels"}
    for column, metric in columns.items():
        expected = means(searched, metric)["trial-00000"]
        assert len(shown) == len(expected)
        for row, value in zip(shown, expected, strict=True):
            assert row[column].split()[0] == f"{value:.3f}".replace("-", "−")


@pytest.mark.slow
def test_systems_are_ranked_by_validation_and_a_simple_one_says_so(of_systems: Reported) -> None:
    labels = {"trial-00000": "β-VAEGAN₂", "trial-00001": "AE", "trial-00002": "nearest neighbours"}
    records = Ledger(of_systems.results.folder("ledger")).trials()
    records.sort(key=lambda record: record.best_value, reverse=True)
    expected = [labels[record.name] for record in records]
    shown = rows_of(of_systems.text, "protocol paper: each system")
    assert [row[0].split()[0] for row in shown[:-1]] == [label.split()[0] for label in expected]
    (simple,) = (row[0] for row in shown if row[0].startswith("nearest"))
    assert "simple model" in simple
    assert shown[-1][0] == "a constant answer"


@pytest.mark.slow
def test_the_page_compares_what_the_study_named(of_systems: Reported) -> None:
    """With p and interval of one test; no patient is known, so that samples are drawn."""
    frame = of_systems.report.tables["comparisons"].to_pandas()
    rows = frame[(frame["epoch_rule"] == "best_validation") & (frame["metric"] == "f1_weighted")]
    assert set(rows["unit"]) == {"sample"}
    assert set(rows["family"]) == {"best_simple", "reconstruction", "all_systems"}
    rows = rows[rows["family"] == "best_simple"]
    shown = rows_of(of_systems.text, "protocol paper: each system less the simple one")
    assert len(shown) == len(rows) == 2
    numbers = sorted(
        [f"{row[name]:.3f}".replace("-", "−") for name in ("unit_p_holm", "fold_p_holm")]
        for row in rows.to_dict("records")
    )
    assert sorted([row[3], row[5]] for row in shown) == numbers
    for row in shown:
        low, high = (float(end.replace("−", "-")) for end in row[2].split(" to "))
        assert (low > 0 or high < 0) == (float(row[3]) < 0.05)
    letters = rows_of(of_systems.text, "protocol paper: systems that share a letter")
    assert {row[0] for row in letters} == {"β-VAEGAN₂", "AE", "nearest neighbours"}


@pytest.mark.slow
def test_the_answer_says_whether_the_best_network_beats_the_best_simple_model(
    of_systems: Reported,
) -> None:
    text = visible_text(of_systems.text)
    network = PageInputs(
        of_systems.study,
        Ledger(of_systems.results.folder("ledger")).trials(),
        of_systems.report.tables,
        of_systems.results,
    ).drawn[0]
    frame = of_systems.report.tables["comparisons"].to_pandas()
    chosen = (frame["family"] == "best_simple") & (frame["first_trial"] == network.name)
    chosen &= (frame["epoch_rule"] == "best_validation") & (frame["metric"] == "f1_weighted")
    (row,) = frame[chosen].to_dict("records")
    verb = "is not told apart from"
    if row["unit_p_holm"] <= 0.05:
        verb = "is ahead of" if row["difference"] > 0 else "loses against"
    assert f"{network.label} {verb} the best simple system, nearest neighbours (" in text


def test_what_was_stopped_or_failed_is_said_with_its_reason(searched: Reported) -> None:
    text = visible_text(searched.text)
    assert "Trials: 1 completed; 1 stopped early; 1 failed." in text
    assert [FAILURE, "1", "trial-00002"] in rows_of(searched.text, "failed")
    assert ["2", "2", "1"] in rows_of(searched.text, "stopped early")
    values = [
        dict(record.values)[2] for record in Ledger(searched.results.folder("ledger")).trials()[:2]
    ]
    needed, had = (f"{value:.3f}" for value in values)
    stopped = ["trial-00001", "successive halving", "2", had, needed, "1"]
    assert stopped in rows_of(searched.text, "why it was stopped")


def test_the_study_file_on_the_page_is_the_study(made: Reported) -> None:
    written = html.unescape(re.findall(r"<pre[^>]*>(.*?)</pre>", made.text, re.DOTALL)[-1])
    (download,) = re.findall(r'href="data:text/plain;charset=utf-8,([^"]*)"', made.text)
    assert unquote(download) == written
    again = check_study(yaml.safe_load(written), "page")
    assert dump_study(again) == dump_study(made.study)


def test_curves_are_of_the_scores_in_the_table(searched: Reported) -> None:
    scores = pd.read_parquet(io.BytesIO(searched.results.read("scores.parquet")))
    row = scores.query(
        "trial == 'trial-00000' and fold == 0 and epoch_rule == 'best_validation'"
        " and composition == 'svm_lambda'"
    ).iloc[0]
    assert re.search(rf"AUROC: .*SVM λ \(R, D\) +{row['auroc']:.3f}", visible_text(searched.text))


def test_the_rocs_marked_curve_is_of_the_studys_own_composition(searched: Reported) -> None:
    """A ring and a line have the colour; an own composition without a fit has neither."""
    assert accented(searched, {}) == 2
    too_few = {"quantile_of": "held_out", "quantile": 0.9999}
    assert accented(searched, too_few, composition="reconstruction_quantile") == 0


def accented(made: Reported, scores: dict[str, Any], **metric: Any) -> int:
    """How many marks of the ROC are in colour, with other settings of scores and metric."""
    records = []
    for record in Ledger(made.results.folder("ledger")).trials():
        config = record.trial.config
        parts = {
            "scores": config.scores.model_copy(update=scores),
            "metric": config.metric.model_copy(update=metric),
        }
        changed = replace(record.trial, config=config.model_copy(update=parts))
        records.append(replace(record, trial=changed))
    inputs = PageInputs(made.study, records, made.report.tables, made.results)
    with page_style():
        sections = {section.key: section for section in error_sections(inputs)}
    (roc,) = (each for each in sections["curves"].pictures if each.caption.endswith("ROC"))
    return len(re.findall(r'class="[^"]*accent|var\(--accent', str(roc.svg)))


def test_the_test_sets_own_share_of_abnormal_samples_is_one_row(searched: Reported) -> None:
    """Folds' test sets differ by a sample or two."""
    frame = searched.report.tables["prevalence"].to_pandas()
    own = frame["own_prevalence"] & (frame["without_kind"] == "")
    frame["prevalence"] += 0.01 * frame["fold"].where(own, 0)
    tables = searched.report.tables | {"prevalence": pa.Table.from_pandas(frame)}
    inputs = PageInputs(
        searched.study, Ledger(searched.results.folder("ledger")).trials(), tables, searched.results
    )
    (section,) = (each for each in comparison_sections(inputs) if each.key == "prevalence")
    shown = [row[1].text for row in section.tables[0].rows if "the test set" in row[1].text]
    share = frame[own & (frame["epoch_rule"] == "best_validation")].groupby("fold")["prevalence"]
    assert shown == [f"{share.first().mean():.1%} (the test set’s)"]


def test_losses_are_the_models_own(searched: Reported) -> None:
    epochs = searched.report.tables["epochs"]
    assert epochs["normal_error"].null_count < epochs.num_rows
    (drawn,) = re.findall(r"<figure(?:(?!</figure>).)*?: losses.*?</figure>", searched.text, re.S)
    assert "reconstruction" in visible_text(drawn)
    assert "normal error" not in visible_text(drawn)


def test_kinds_are_counted_over_all_folds(searched: Reported) -> None:
    strata = searched.report.tables["strata"].to_pandas()
    chosen = strata.query("trial == 'trial-00000' and stratum == 'kind'")
    sizes = chosen.groupby(["composition", "latent_form", "epoch_rule", "value"])[
        ["normal", "abnormal"]
    ].sum()
    expected = sizes.sum(axis=1).groupby("value").first()
    shown = {row[0]: (row[1], row[2]) for row in rows_of(searched.text, "share predicted abnormal")}
    assert shown == {
        kind: ("normal" if kind == "N" else "abnormal", str(size))
        for kind, size in expected.items()
    }


def test_extremes_are_the_ends_of_their_class(searched: Reported) -> None:
    ledger = Ledger(searched.results.folder("ledger"))
    manifest = ledger.fold(FoldAddress("trial-00000", 0))
    assert manifest is not None
    errors = pd.read_parquet(io.BytesIO(ledger.read(manifest, fold_files.COMPONENTS)))
    errors = errors.query("split == 'validation' and epoch_rule == 'best_validation'")
    stored = pd.read_parquet(io.BytesIO(ledger.read(manifest, fold_files.EXTREMES)))
    for label, group in errors.groupby("label"):
        rising = group.sort_values("reconstruction_error")["sample"].tolist()
        middle = rising[(len(rising) - 1) // 2]
        assert stored[stored["label"] == label]["sample"].tolist() == [
            rising[0], middle, rising[-1]
        ]  # fmt: skip


def test_damage_is_named_and_leaves_the_old_page(searched: Reported) -> None:
    results = LocalFolder(searched.page.parents[1])
    path = f"ledger/trial-00000/fold-0/{fold_files.EXTREMES}"
    content, before = results.read(path), results.read(PAGE)
    results.write(path, b"other")
    try:
        with pytest.raises(StudyFailedError, match=fold_files.EXTREMES):
            write_page(searched.study, results, searched.report.tables)
        assert results.read(PAGE) == before
    finally:
        results.write(path, content)

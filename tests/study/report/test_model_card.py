import io
from pathlib import Path

import pandas as pd
import pytest

from study.config.study_file import check_study, dump_study
from study.report.build import build_report
from study.report.model_card import write_model_cards
from study.search.sources import SystemList
from study.search.trial import State, Trial
from tests.study.report.conftest import FOLDS, DrawnLedger
from tests.study.report.trained import Reported
from tests.study.trials import record_of, trial_of


def card(drawn: DrawnLedger, path: str = "report/MODEL_CARD.md") -> str:
    report = build_report(drawn.study, drawn.facts, drawn.results, "serial")
    assert report is not None
    assert path in report.files
    return drawn.results.read(path).decode()


def test_the_best_completed_trial_has_the_card(drawn: DrawnLedger) -> None:
    for number, value in enumerate((0.5, 0.9, 0.9, 0.99)):
        state: State = "pruned" if number == 3 else "completed"
        drawn.commit(number, state=state)
        trial = trial_of(drawn.study, number, {"model.beta": 0.25 * (number + 1)})
        drawn.ledger.record_trial(record_of(trial, state, [(6, value)], number))
    text = card(drawn)
    assert text.startswith("# beta_vaegan on synthetic: trial-00001 of study drawn\n")
    assert "| `model.beta` | 0.5 |" in text
    assert 'load_detector("ledger/trial-00001")' in text


def test_the_cards_numbers_are_the_tables(drawn: DrawnLedger) -> None:
    drawn.commit(0)
    text = card(drawn)
    summary = pd.read_parquet(io.BytesIO(drawn.results.read("summary.parquet")))
    rows = summary[summary["epoch_rule"] == "best_validation"]
    assert len(rows) > 10
    for row in rows.to_dict("records"):
        form = f", {row['latent_form']}" if row["latent_form"] else ""
        low, high = row["f1_weighted_low"], row["f1_weighted_high"]
        f1 = f"{row['f1_weighted_mean']:.3f} [{low:.3f}, {high:.3f}]"
        assert 0 <= low <= high <= 1
        line = next(
            line
            for line in text.splitlines()
            if line.startswith(f"| `{row['composition']}`{form} ")
        )
        assert f1 in line
        assert f"| best | {row['labels_chose']} |" in line
        assert ("the study's metric" in line) == (row["composition"] == "lambda_grid")
    assert "| split hash | `hash` |" in text


@pytest.mark.slow
def test_the_same_tables_make_the_same_bytes(drawn: DrawnLedger) -> None:
    drawn.commit(0)
    first = card(drawn)
    drawn.results.remove("report")
    assert card(drawn) == first


def test_nothing_completed_has_no_card(drawn: DrawnLedger) -> None:
    drawn.commit(0)
    report = build_report(drawn.study, drawn.facts, drawn.results, "serial")
    assert report is not None
    drawn.results.remove("report")
    drawn.ledger.record_trial(record_of(trial_of(drawn.study), "pruned", [(6, 0.5)]))
    records = drawn.ledger.trials()
    assert write_model_cards(drawn.study, drawn.results, records, report.tables, drawn.facts) == []
    assert not drawn.results.exists("report/MODEL_CARD.md")


@pytest.mark.slow
def test_every_system_has_a_card_for_each_protocol(drawn: DrawnLedger) -> None:
    drawn.commit(0)
    drawn.commit(1)
    report = build_report(drawn.study, drawn.facts, drawn.results, "serial")
    assert report is not None
    content = {
        "name": "systems",
        "dataset": {"name": "synthetic", "length": 32},
        "split": {"protocol": "paper", "beside": "inter_patient", "folds": FOLDS},
        "search": {"metric": {"composition": "lambda_grid"}},
        "systems": {"ours": {"model": {"name": "beta_vaegan"}}},
    }
    study = check_study(content, "systems.yaml")
    source = SystemList(study)
    for _ in range(source.size):
        trial = source.next_trial({}, set())
        assert isinstance(trial, Trial)
        drawn.ledger.record_trial(record_of(trial, values=[(6, 0.5)]))
    records = drawn.ledger.trials()
    paths = write_model_cards(study, drawn.results, records, report.tables, drawn.facts)
    assert paths == ["report/ours/MODEL_CARD.md", "report/ours_inter_patient/MODEL_CARD.md"]
    texts = [drawn.results.read(path).decode() for path in paths]
    assert all(text.startswith("# ours on synthetic: trial-0000") for text in texts)
    assert "people who are in training, too" in texts[0]
    assert "those who test neither train nor validate" in texts[1]


def test_classes_are_counted_from_the_stored_errors_by_the_cards_threshold(
    drawn: DrawnLedger,
) -> None:
    """Of R alone, whose threshold stands in the scores: decisions are made again here."""
    content = dump_study(drawn.study) | {"search": {"metric": {"composition": "reconstruction"}}}
    drawn.study = check_study(content, "drawn.yaml")
    drawn.commit(0)
    text = card(drawn)
    scores = pd.read_parquet(io.BytesIO(drawn.results.read("scores.parquet")))
    chosen = scores.query("epoch_rule == 'best_validation' and of_metric").set_index("fold")
    shares = []
    for fold in range(FOLDS):
        path = f"ledger/trial-00000/fold-{fold}/components.parquet"
        stored = pd.read_parquet(io.BytesIO(drawn.results.read(path)))
        own = stored.query("epoch_rule == 'best_validation'")
        limits = own.query("split == 'validation'")["reconstruction_error"].agg(["min", "max"])
        test = own.query("split == 'test'")
        scaled = (test["reconstruction_error"] - limits["min"]) / (limits["max"] - limits["min"])
        called = scaled.astype(float) > chosen.loc[fold, "tau"]
        shares.append(called.groupby(test["kind"]).mean())
    section = text[text.index("### By class") : text.index("### By patient")]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
    assert {row[0].strip("| `") for row in rows} == set(pd.concat(shares).index)
    for row in rows:
        kind = row[0].strip("| `")
        column = 2 if row[4] == "none" else 4
        expected = sum(share[kind] for share in shares) / FOLDS
        assert row[column].startswith(f"{expected:.3f}")


@pytest.mark.parametrize(
    ("scores", "composition", "said"),
    [
        ({}, "lambda_grid", "for a share of abnormal samples that validation had;"),
        ({"prevalence": 0.025}, "lambda_grid", "for a share of abnormal samples of 2.5%;"),
        ({"prevalence": 0.025}, "reconstruction_quantile", "heeds no abnormal samples"),
    ],
)
def test_what_a_threshold_depends_on_is_said(
    scores: dict[str, float], composition: str, said: str, drawn: DrawnLedger
) -> None:
    content = dump_study(drawn.study)
    content["scores"] |= scores
    content["search"]["metric"]["composition"] = composition
    drawn.study = check_study(content, "drawn.yaml")
    drawn.commit(0)
    (limit,) = (line for line in card(drawn).splitlines() if "Its threshold" in line)
    assert said in limit


def test_limits_are_those_that_the_tables_show(drawn: DrawnLedger) -> None:
    drawn.commit(0)
    text = card(drawn)
    strata = pd.read_parquet(io.BytesIO(drawn.results.read("strata.parquet"))).query(
        "epoch_rule == 'best_validation' and stratum == 'kind' and composition == 'lambda_grid'"
        " and abnormal > 0"
    )
    shares = (strata["hits"] / strata["abnormal"]).groupby(strata["value"]).mean()
    assert shares.nunique() == len(shares) > 1
    assert f"- Of class `{shares.idxmin()}` it finds a share of {shares.min():.3f} [" in text
    assert text.count("- Of class") == 1
    assert "- The samples are generated" in text
    assert "- No simple model stands beside it" in text


@pytest.mark.slow
def test_a_system_stands_beside_the_simple_one_as_the_comparisons_do(of_systems: Reported) -> None:
    comparisons = of_systems.report.tables["comparisons"].to_pandas().query(
        "family == 'best_simple' and metric == 'f1_weighted' and epoch_rule == 'best_validation'"
    )  # fmt: skip
    compared = comparisons.set_index("first_system")[["unit_p_holm", "difference"]]
    assert set(compared.index) == {"ae", "vaegan_2"}
    for system, (p, difference) in compared.iterrows():
        words = "It is not told apart from" if p > 0.05 else "It is worse than"
        is_limit = p > 0.05 or difference < 0
        path = Path(of_systems.results.locate()) / f"report/{system}/MODEL_CARD.md"
        lines = [line for line in path.read_text().splitlines() if "simple model `" in line]
        assert lines == [f"- {words} the simple model `knn` on the same folds."] * is_limit


def test_a_card_names_the_program_and_says_whether_its_tree_was_clean(drawn: DrawnLedger) -> None:
    drawn.commit(0)
    drawn.write_facts()
    program = {"version": "1.2", "commit": "c0ffee", "clean": False}
    provenance = {**(drawn.study.provenance or {}), "programs": [program]}
    drawn.write_study(drawn.study.model_copy(update={"provenance": provenance}))
    text = card(drawn)
    assert "Made by version 1.2, commit `c0ffee`, with changes that no commit has." in text

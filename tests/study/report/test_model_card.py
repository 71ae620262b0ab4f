import io

import pandas as pd

from study.config.study_file import check_study
from study.report.build import build_report
from study.report.model_card import write_model_cards
from study.search.sources import SystemList
from study.search.trial import State, Trial
from tests.study.report.conftest import FOLDS, DrawnLedger
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
        f1 = f"{row['f1_weighted_mean']:.3f} [{row['f1_weighted_low']:.3f}, "
        line = next(
            line
            for line in text.splitlines()
            if line.startswith(f"| `{row['composition']}`{form} ")
        )
        assert f1 in line
        assert f"| best | {row['labels_chose']} |" in line
        assert ("the study's metric" in line) == (row["composition"] == "lambda_grid")
    assert "| split hash | `hash` |" in text


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
    records, tables = drawn.ledger.trials(), (report.scores, report.summary)
    assert write_model_cards(drawn.study, drawn.results, records, *tables) == []
    assert not drawn.results.exists("report/MODEL_CARD.md")


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
    records, tables = drawn.ledger.trials(), (report.scores, report.summary)
    paths = write_model_cards(study, drawn.results, records, *tables)
    assert paths == ["report/ours/MODEL_CARD.md", "report/ours_inter_patient/MODEL_CARD.md"]
    texts = [drawn.results.read(path).decode() for path in paths]
    assert all(text.startswith("# ours on synthetic: trial-0000") for text in texts)
    assert "people who are in training too" in texts[0]
    assert "Test patients are not among the training patients" in texts[1]

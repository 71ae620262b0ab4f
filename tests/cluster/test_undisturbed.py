import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import ray
import yaml
from sklearn.metrics import f1_score, matthews_corrcoef, roc_auc_score
from sklearn.svm import SVC
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from study import run
from study.config.study_file import load_study
from study.report.__main__ import app as report
from study.scores.compositions import COMPOSITIONS
from tests.cluster.conftest import SECRET
from tests.commands import call

pytestmark = pytest.mark.cluster
LOOPBACK = "0100007F"
PROMISED = """
    study dataset protocol split_hash model trial config_hash state fold seed epoch_rule epoch
    composition latent_form supervision lambda_ gamma tau f1_weighted f1_anomaly f1_macro
    precision recall phi auroc auroc_labels auprc prevalence num_samples
"""


@pytest.fixture(scope="module")
def scores(undisturbed):
    return pd.read_parquet(undisturbed.results / "scores.parquet")


def test_the_table_has_all_promised_columns_and_every_setting(undisturbed, scores):
    assert set(PROMISED.split()) <= set(scores.columns)
    assert {"param.model.beta", "param.training.optimizer.learning_rate"} <= set(scores.columns)
    assert scores["param.training.epochs"].eq(4).all()


def test_every_trial_fold_rule_and_composition_has_its_row_once(scores):
    rows = scores.groupby(["trial", "fold", "epoch_rule", "composition", "latent_form"]).size()
    assert rows.eq(1).all()
    assert scores["trial"].nunique() == 2
    applicable = [name for name in COMPOSITIONS if not name.startswith("outlier")]
    assert list(scores["composition"].unique()) == applicable
    assert "none" in set(scores["supervision"])


def test_a_stopped_trial_is_scored_as_it_was_at_its_rung(undisturbed, scores):
    pruned = scores[scores["state"] == "pruned"]
    assert len(pruned)
    assert set(pruned.loc[pruned["epoch_rule"] == "last", "epoch"]) == {2}
    assert set(
        scores.loc[scores["state"] == "completed"].query("epoch_rule == 'last'")["epoch"]
    ) == {4}
    trial = json.loads(
        (undisturbed.results / "ledger" / pruned["trial"].iloc[0] / "trial.json").read_text()
    )
    assert trial["state"] == "pruned"
    assert [epoch for epoch, _ in trial["values"]] == [2]


def test_a_trial_that_fails_is_named_and_disturbs_no_other(undisturbed, scores):
    assert re.search(
        r"trial-00002 failed: fold 0: \w+ is (nan|inf) in epoch 1", undisturbed.printed
    )
    trial = json.loads((undisturbed.results / "ledger/trial-00002/trial.json").read_text())
    assert (trial["state"], trial["values"]) == ("failed", [])
    assert trial["parameters"]["model.beta"] == 1e300
    assert set(scores["state"]) == {"completed", "pruned"}
    assert set(scores["param.model.beta"]) == {1e-4}


def test_processes_listen_on_loopback_alone(undisturbed):
    assert undisturbed.listening == {LOOPBACK}


@pytest.mark.parametrize(
    "process",
    [
        "monitor.py",
        "dashboard.py",
        "TrainController",
        "AutoscalingCoordinator",
        "SynchronizationActor",
    ],
)
def test_nothing_is_started_that_serves_nobody(undisturbed, process):
    assert any("raylet/raylet" in command for command in undisturbed.processes)
    assert not [command for command in undisturbed.processes if process in command]


def test_a_second_run_at_the_same_time_is_refused(undisturbed):
    assert undisturbed.refusal == 2
    assert "another process runs this study" in undisturbed.refused


def test_values_of_a_fold_follow_from_its_stored_errors(undisturbed, scores):
    """The whole way from components to F1, phi and AUROC, by NumPy and scikit-learn alone."""
    trial = scores["trial"].iloc[0]
    errors = pd.read_parquet(
        undisturbed.results / "ledger" / trial / "fold-0" / "components.parquet"
    )
    errors = errors[errors["epoch_rule"] == "last"]
    rows = scores.query(f"trial == '{trial}' and fold == 0 and epoch_rule == 'last'")
    rows = rows.set_index(["composition", "latent_form"])
    columns = ["reconstruction_error", "discrimination_error", "latent_norm"]
    parts = {name: errors[errors["split"] == name] for name in ("validation", "test")}
    raw = {name: part[columns].to_numpy(np.float64) for name, part in parts.items()}
    low, high = raw["validation"].min(axis=0), raw["validation"].max(axis=0)
    scaled = {name: (values - low) / (high - low) for name, values in raw.items()}
    label = {name: part["label"].to_numpy() for name, part in parts.items()}

    def check(row, score, decision):
        truth = label["test"]
        assert row["f1_weighted"] == pytest.approx(
            f1_score(truth, decision, average="weighted"), abs=1e-6
        )
        assert row["phi"] == pytest.approx(matthews_corrcoef(truth, decision), abs=1e-6)
        assert row["auroc"] == pytest.approx(roc_auc_score(truth, score), abs=1e-6)
        assert row["auroc_labels"] == pytest.approx(roc_auc_score(truth, decision), abs=1e-6)

    for column, name in enumerate(["reconstruction", "discrimination"]):
        row = rows.loc[(name, "")]
        validation, test = scaled["validation"][:, column], scaled["test"][:, column]
        f1s = [
            f1_score(label["validation"], validation > tau, average="weighted")
            for tau in (row["tau"], -np.inf, *np.unique(validation))
        ]
        at_tau, best = f1s[0], max(f1s)
        assert at_tau == pytest.approx(best, abs=1e-6)
        check(row, test, test > row["tau"])
    for name, form, used in (("svm_lambda", "", 2), ("svm_gamma", "implicit", 3)):
        machine = SVC().fit(scaled["validation"][:, :used], label["validation"])
        score = machine.decision_function(scaled["test"][:, :used])
        check(rows.loc[(name, form)], score, score > 0)


def test_the_report_alone_makes_the_same_bytes(undisturbed):
    results = undisturbed.results
    tables = ["scores.parquet", "summary.parquet", "timings.parquet", "report/index.html"]
    before = {name: (results / name).read_bytes() for name in tables}
    for name in tables:
        (results / name).unlink()
    assert call(report, str(results)).code == 0
    assert {name: (results / name).read_bytes() for name in tables} == before


def test_the_stored_study_runs_again_as_it_is(undisturbed, study_file):
    stored = load_study(str(undisturbed.results / "study.yaml"))
    assert stored.model_copy(update={"provenance": None}) == load_study(str(study_file))
    assert {"versions", "samples_hash", "split_hash"} <= set(stored.provenance)


def test_splits_are_stored_as_lists_and_hold_normals_in_training(undisturbed):
    splits = pd.read_parquet(undisturbed.results / "splits.parquet")
    assert list(splits.columns) == ["fold", "split", "sample", "record", "protocol"]
    errors = pd.read_parquet(undisturbed.results / "ledger/trial-00000/fold-1/components.parquet")
    abnormal = set(errors.loc[errors["label"] == 1, "sample"])
    trained = set(splits.query("fold == 1 and split == 'training'")["sample"])
    assert not trained & abnormal


def test_tensorboard_shows_folds_pictures_and_hyperparameters(undisturbed):
    folder = undisturbed.results / "tensorboard" / "trial-00000"
    fold = EventAccumulator(str(folder / "fold-1")).Reload()
    wanted = {
        "loss/discriminator_loss",
        "loss/adversarial_loss",
        "loss/reconstruction_loss",
        "loss/kl_divergence",
        "validation/f1_weighted",
        "validation/phi",
    }
    assert wanted <= set(fold.Tags()["scalars"])
    assert [event.step for event in fold.Scalars("loss/adversarial_loss")] == [1, 2, 3, 4]
    assert fold.Images("reconstructions")
    trial = EventAccumulator(str(folder)).Reload()
    assert "_hparams_/session_start_info" in trial.PluginTagToContent("hparams")
    assert "answer/f1_weighted" in trial.Tags()["scalars"]


def test_the_terminal_names_the_table_and_tensorboard(undisturbed):
    results, printed = undisturbed.results, undisturbed.printed
    assert f"{results}/scores.parquet" in printed
    assert f"{results}/report/index.html" in printed
    assert f"tensorboard --logdir {results}" in printed
    assert "trial-00001" in printed
    assert "left" in printed


def test_nothing_of_training_is_left_but_results(undisturbed):
    assert not (undisturbed.results / "checkpoints").exists()
    assert not (undisturbed.results / "tune").exists()
    assert yaml.safe_load((undisturbed.results / "study.yaml").read_text())["name"] == "tiny"


def test_running_it_again_trains_nothing_and_changes_nothing(undisturbed, study_file):
    results = undisturbed.results
    before = (results / "scores.parquet").read_bytes()
    again = call(run.app, str(study_file), "--output", str(results.parent))
    assert again.code == 0
    assert not ray.is_initialized()
    assert (results / "scores.parquet").read_bytes() == before
    assert "epoch 2 of" not in again.output


def test_a_damaged_ledger_is_named_in_one_line_and_its_tables_stay(undisturbed, tmp_path):
    results = tmp_path / "tiny"
    shutil.copytree(undisturbed.results, results)
    file = results / "ledger" / "trial-00000" / "fold-1" / "components.parquet"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    done = call(report, str(results))
    assert done.code == 1
    assert done.errors.count("\n") == 1
    assert str(file) in done.errors
    table = (results / "scores.parquet").read_bytes()
    assert table == (undisturbed.results / "scores.parquet").read_bytes()


def test_no_environment_token_or_home_folder_reaches_results_or_output(undisturbed):
    results, printed = undisturbed.results, undisturbed.printed
    home = results.parents[1] / SECRET
    secrets = [SECRET, *(path.read_text().strip() for path in home.glob(".ray/auth_token"))]
    assert len(secrets) == 2, "Ray made no token"
    held = [path.read_bytes() for path in results.rglob("*") if path.is_file()]
    assert len(held) > 20
    for secret in secrets:
        assert secret not in printed
        assert not any(secret.encode() in content for content in held)

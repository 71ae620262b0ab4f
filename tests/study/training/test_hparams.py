import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from study.config.study_file import check_study
from study.storage.folder import LocalFolder, open_folder
from study.training.events import LAYOUT
from study.training.hparams import reading_command, write_hparams, write_outcomes
from tests.study.training.event_files import accumulated
from tests.study.trials import record_of, trial_of


def test_a_trials_settings_and_scores_are_written_in_place_of_older_ones(tmp_path: Path) -> None:
    results = LocalFolder(tmp_path)
    for value in (0.25, 0.75):
        write_hparams(results, "trial-00000", {"beta": 0.1, "betas": (1, 2)}, {"test/f1": value})
    events = accumulated(tmp_path / "tensorboard/trial-00000")
    assert [event.value for event in events.Scalars("test/f1")] == [0.75]
    assert "_hparams_/session_start_info" in events.summary_metadata


def test_every_trial_declares_the_scores_of_all_since_one_is_asked(tmp_path: Path) -> None:
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    results = LocalFolder(tmp_path)
    scores = {"trial-00000": {"test/knn": 0.5}, "trial-00001": {"test/svm": 0.25}}
    for trial, own in scores.items():
        write_hparams(results, trial, {"beta": 0.1}, own, ["test/knn", "test/svm"])
    for trial, own in scores.items():
        events = accumulated(tmp_path / "tensorboard" / trial)
        content = events.summary_metadata["_hparams_/experiment"].plugin_data.content
        declared = HParamsPluginData.FromString(content).experiment.metric_infos
        assert {info.name.tag for info in declared} == {"test/knn", "test/svm"}
        assert {tag for tag in events.Tags()["scalars"] if tag.startswith("test/")} == set(own)


def row(trial: str, composition: str, supervision: str, **kept: Any) -> dict[str, Any]:
    known = {"trial": trial, "epoch_rule": "best_validation", "composition": composition}
    known |= {"latent_form": "", "supervision": supervision, "of_metric": False}
    return {**known, "f1_weighted_mean": 0.5, "phi_mean": 0.25, "auroc_mean": 0.75, **kept}


def test_a_session_for_each_trial_has_its_answer_and_the_compositions_that_matter(
    tmp_path: Path,
) -> None:
    content: dict[str, Any] = {"name": "made", "dataset": {"name": "synthetic", "length": 32}}
    content |= {"model": {"name": "beta_vaegan"}, "measures": {"tracked": ["lambda_grid"]}}
    study = check_study(content | {"search": {"metric": {"composition": "svm_lambda"}}}, "made")
    records = [
        record_of(trial_of(study, n, {"model.beta": 0.1 * n}), values=[(2, 0.5 + n / 10)])
        for n in range(2)
    ]
    failed = record_of(trial_of(study, 2, {"model.beta": 0.3}), "failed")
    rows = [
        each
        for record in records
        for each in (
            row(record.name, "svm_lambda", "svm", of_metric=True, phi_mean=0.875),
            row(record.name, "svm_lambda", "svm", of_metric=True, epoch_rule="last", phi_mean=0.0),
            row(record.name, "lambda_grid", "threshold"),
            row(record.name, "latent_quantile", "none", latent_form="chi_mode"),
            row(record.name, "gamma_grid", "threshold", latent_form="chi_mode"),
        )
    ]
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    write_outcomes([*records, failed], LocalFolder(tmp_path), pa.Table.from_pylist(rows))
    assert sorted(path.name for path in (tmp_path / "tensorboard").iterdir()) == [
        "trial-00000",
        "trial-00001",
    ]
    for record in records:
        events = accumulated(tmp_path / "tensorboard" / record.name)
        scalars = events.Tags()["scalars"]
        assert {tag.rpartition("/")[0] for tag in scalars} == {
            "validation",
            "answer",
            "test/svm_lambda",
            "test/lambda_grid",
            "test/latent_quantile_chi_mode",
        }
        assert events.Scalars("answer/phi")[0].value == 0.875
        content = events.summary_metadata["_hparams_/experiment"].plugin_data.content
        declared = HParamsPluginData.FromString(content).experiment.metric_infos
        assert [info.name.tag for info in declared][1:4] == [
            "answer/f1_weighted",
            "answer/phi",
            "answer/auroc",
        ]
        patterns = [
            each for charts in LAYOUT.values() for _, tags in charts.values() for each in tags
        ]
        assert not [tag for tag in scalars for each in patterns if re.match(each, tag)]
        value = events.Scalars("validation/best_value")[0].value
        assert value == pytest.approx(record.best_value)


@pytest.mark.parametrize("folds", [(5, 5), (5, 2)])
def test_a_session_of_a_race_has_how_many_folds_its_trial_had(
    folds: tuple[int, int], tmp_path: Path
) -> None:
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    content = {"name": "made", "dataset": {"name": "synthetic", "length": 32}}
    study = check_study(content | {"model": {"name": "beta_vaegan"}}, "made")
    records = [
        replace(record_of(trial_of(study, n, {"model.beta": 0.1}), values=[(2, 0.5)]), num_folds=f)
        for n, f in enumerate(folds)
    ]
    write_outcomes(records, LocalFolder(tmp_path))
    shown = []
    for record in records:
        events = accumulated(tmp_path / "tensorboard" / record.name)
        start = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
        hparams = HParamsPluginData.FromString(start).session_start_info.hparams
        shown.append(hparams["folds"].number_value if "folds" in hparams else None)
    assert shown == ([None, None] if folds[0] == folds[1] else [*folds])


def test_the_command_reads_the_folder_in_which_runs_are_called_as_trials_are() -> None:
    assert reading_command(open_folder("/r/wafer")) == "tensorboard --logdir /r/wafer/tensorboard"

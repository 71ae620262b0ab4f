from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from study.config.schema import Study
from study.data.samples import Samples
from study.data.splits import make_splits
from study.ledger.ledger import Ledger
from study.storage.folder import LocalFolder, open_folder
from study.training import events
from study.training.events import FoldWriter, write_hparams
from study.training.fold import train_fold
from tests.s3_server import S3Server
from tests.study.trials import task_of


def accumulated(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0})
    found.Reload()
    return found


@pytest.fixture(scope="module")
def trained(
    tiny_study: Callable[..., Study],
    tiny_samples: Callable[..., Samples],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Study, Samples, Path]:
    tmp_path = tmp_path_factory.mktemp("trained")
    study, samples = tiny_study(), tiny_samples()
    fold = make_splits(samples, study.split, 0).folds[0]
    writer = FoldWriter(LocalFolder(tmp_path / "events"))
    task, folder = task_of(study), LocalFolder(tmp_path)
    train_fold(task, samples, fold, Ledger(folder), folder.folder("c"), writer=writer)
    writer.close()
    return study, samples, tmp_path / "events"


def test_scalars_are_grouped_and_pictures_follow_the_epochs(
    trained: tuple[Study, Samples, Path],
) -> None:
    study, _, folder = trained
    found = accumulated(folder)
    tags = found.Tags()
    groups = {tag.split("/")[0] for tag in tags["scalars"]}
    assert {"loss", "validation", "latent", "lambda_grid"} <= groups
    assert all("/" in tag for tag in tags["scalars"])
    losses = [event.step for event in found.Scalars("loss/generator_loss")]
    assert losses == list(range(1, study.training.epochs + 1))
    assert [event.step for event in found.Images("reconstructions")] == [2, 4]


def test_the_projector_has_validation_samples_with_label_and_kind(
    trained: tuple[Study, Samples, Path],
) -> None:
    study, samples, folder = trained
    (table,) = folder.rglob("metadata.tsv")
    head, *rows = [line.split("\t") for line in table.read_text().splitlines()]
    assert head == ["label", "kind", "sample"]
    members = make_splits(samples, study.split, 0).folds[0].validation
    assert [int(row[2]) for row in rows] == members.tolist()
    names = ("normal", "abnormal")
    assert [row[0] for row in rows] == [names[label] for label in samples.label[members]]
    assert [row[1] for row in rows] == samples.kind[members].tolist()
    z = np.loadtxt(table.with_name("tensors.tsv"), delimiter="\t")
    assert z.shape == (len(members), study.model.latent_size)  # type: ignore[union-attr]
    assert (folder / "projector_config.pbtxt").exists()


def test_in_a_store_no_event_is_written_twice_and_all_are_read_as_one(
    store: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two attempts, of which the second trains the third epoch again."""
    monkeypatch.setattr(events, "PUBLISH_SECONDS", 0.0)
    folder = open_folder(store.uri("events/fold"))
    before = len(store.requests)
    for resumed, epochs in ((0, (1, 2, 3)), (2, (3, 4))):
        writer = FoldWriter(folder)
        writer.resume(resumed)
        for epoch in epochs:
            writer.scalars(epoch, "loss", {"x": epoch / 10})
            writer.publish()
        writer.publish()  # nothing new
        writer.close()
    written = [path for method, path, _ in store.requests[before:] if method == "PUT"]
    assert len(written) == len(set(written)) == 5
    for name in folder.names():
        (tmp_path / name).write_bytes(folder.read(name))
    found = accumulated(tmp_path).Scalars("loss/x")
    assert [event.step for event in found] == [1, 2, 3, 4]


def test_a_trials_settings_and_scores_are_written_in_place_of_older_ones(tmp_path: Path) -> None:
    results = LocalFolder(tmp_path)
    for value in (0.25, 0.75):
        write_hparams(results, "trial-00000", {"beta": 0.1, "betas": (1, 2)}, {"test/f1": value})
    found = accumulated(tmp_path / "tensorboard/trial-00000")
    assert [event.value for event in found.Scalars("test/f1")] == [0.75]
    assert "_hparams_/session_start_info" in found.summary_metadata


def test_every_trial_declares_the_scores_of_all_since_one_is_asked(tmp_path: Path) -> None:
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    results = LocalFolder(tmp_path)
    scores = {"trial-00000": {"test/knn": 0.5}, "trial-00001": {"test/svm": 0.25}}
    for trial, own in scores.items():
        write_hparams(results, trial, {"beta": 0.1}, own, ["test/knn", "test/svm"])
    for trial, own in scores.items():
        found = accumulated(tmp_path / "tensorboard" / trial)
        content = found.summary_metadata["_hparams_/experiment"].plugin_data.content
        declared = HParamsPluginData.FromString(content).experiment.metric_infos
        assert {info.name.tag for info in declared} == {"test/knn", "test/svm"}
        assert {tag for tag in found.Tags()["scalars"] if tag.startswith("test/")} == set(own)

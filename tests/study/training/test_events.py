import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from study.config.schema import Study
from study.data.samples import Samples
from study.data.splits import make_splits
from study.ledger.ledger import Ledger
from study.storage.folder import LocalFolder, open_folder
from study.training import events
from study.training.events import FoldWriter
from study.training.fold import train_fold
from tests.s3_server import S3Server
from tests.study.training.event_files import accumulated
from tests.study.trials import task_of


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
    written = accumulated(tmp_path).Scalars("loss/x")
    assert [event.step for event in written] == [1, 2, 3, 4]


def test_charts_of_custom_scalars_have_tags_that_there_are(
    trained: tuple[Study, Samples, Path],
) -> None:
    from tensorboard.plugins.custom_scalar.layout_pb2 import Layout

    _, _, folder = trained
    accumulator = accumulated(folder)
    (event,) = accumulator.Tensors("custom_scalars__config__")
    layout = Layout.FromString(event.tensor_proto.string_val[0])
    patterns = {
        chart.title: list(chart.multiline.tag)
        for category in layout.category
        for chart in category.chart
    }
    tags = accumulator.Tags()["scalars"]
    empty = [
        title
        for title, wanted in patterns.items()
        if not any(re.match(each, tag) for each in wanted for tag in tags)
    ]
    assert empty == ["TSTR"]  # which this study does not measure

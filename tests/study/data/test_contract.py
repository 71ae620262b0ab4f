"""What holds for every dataset."""

from pathlib import Path

import numpy as np
import pytest

from study.data import DATASETS, load
from study.data.assembly import content_hash
from study.data.beat_settings import CentredWindow
from study.data.cache import entry_key, read_entry
from study.data.mitbih import MitbihSettings
from study.data.samples import ARRAYS, Samples
from study.data.series_settings import SeriesSettings
from study.data.settings import DatasetSettings
from study.data.synthetic import SyntheticSettings
from study.data.table import TableSettings
from study.data.ucr import UcrSettings
from study.data.wafer import WaferSettings

REAL = ("mitbih", "wafer")


@pytest.fixture(
    params=[pytest.param(n, marks=pytest.mark.slow) if n in REAL else n for n in DATASETS]
)
def case(
    request: pytest.FixtureRequest, tmp_path: Path
) -> tuple[DatasetSettings, Path, Path, Samples]:
    """Settings, data folder, cache folder and samples of each dataset."""
    cache = tmp_path / "cache"
    if request.param == "mitbih":
        samples = request.getfixturevalue("mitbih")
        folder = request.getfixturevalue("real_mitdb").parent
        return MitbihSettings(), folder, request.getfixturevalue("mitbih_cache"), samples
    settings: DatasetSettings
    if request.param == "wafer":
        settings, folder = WaferSettings(), request.getfixturevalue("real_wafer")
    elif request.param == "ucr":
        generator = np.random.default_rng(0)
        rows = [
            "\t".join([str(1 + n % 3), *map(str, generator.normal(size=50))]) for n in range(60)
        ]
        (tmp_path / "own.tsv").write_text("\n".join(rows) + "\n")
        settings, folder = UcrSettings(path=("own.tsv",), normal_labels=("1",)), tmp_path
    elif request.param == "table":
        generator = np.random.default_rng(0)
        kinds = np.array(["ok", "hot", "loud"])[np.arange(60) % 3]
        np.savez(tmp_path / "own.npz", values=generator.normal(size=(60, 50)), state=kinds)
        settings = TableSettings(path=("own.npz",), label="state", normal_labels=("ok",))
        folder = tmp_path
    elif request.param == "series":
        generator = np.random.default_rng(0)
        for name in ("b", "a"):
            flagged = np.arange(400) // 50 == 6
            points = np.stack([generator.normal(size=400), flagged], axis=1)
            np.savetxt(tmp_path / f"{name}.csv", points, "%.6f", ",", header="x,label", comments="")
        settings, folder = SeriesSettings(path=("*.csv",), length=32, normal_until=0.5), tmp_path
    elif request.param == "synthetic":
        settings, folder = SyntheticSettings(patients=3, beats_per_patient=30), tmp_path
    else:
        pytest.fail(f"give the contract a small case of the dataset {request.param}")
    return settings, folder, cache, load(settings, folder, 0, cache)


def assert_equal(left: Samples, right: Samples) -> None:
    for name in ARRAYS:
        assert getattr(left, name).dtype == getattr(right, name).dtype, name
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), err_msg=name)
    assert left.sampling_rate_hz == right.sampling_rate_hz
    assert left.content_hash == right.content_hash


def test_every_dataset_keeps_the_contract(case):
    settings, folder, cache, samples = case
    assert samples.values.shape == (len(samples), 1, settings.length)
    assert samples.values.dtype == np.float32
    assert np.isfinite(samples.values).all()
    if not settings.scaled_by_fold:
        assert samples.values.min() == 0.0
        assert samples.values.max() == 1.0
    assert {len(getattr(samples, name)) for name in ARRAYS} == {len(samples)}
    assert set(np.unique(samples.label)) == {0, 1}
    assert set(np.unique(samples.side)) <= {"train", "test", "excluded", ""}
    assert not any(getattr(samples, name).flags.writeable for name in ARRAYS)
    # One kind is never both normal and abnormal.
    for kind in np.unique(samples.kind):
        assert len(np.unique(samples.label[samples.kind == kind])) == 1
    assert samples.content_hash == content_hash(samples)

    # From the cache: the same, bit for bit.
    assert_equal(load(settings, folder, 0, cache), samples)

    # Prepared a second time, without the cache: the same.
    prepare = DATASETS[settings.name].prepare
    if settings.name != "mitbih":
        assert_equal(prepare(settings, folder, 0), samples)

    # A limit keeps the kinds' proportions and the order, and is drawn from the seed.
    count = max(len(samples) // 7, 20)
    limited = load(settings.model_copy(update={"limit": count}), folder, 0, cache)
    again = load(settings.model_copy(update={"limit": count}), folder, 0, cache)
    other = load(settings.model_copy(update={"limit": count}), folder, 1, cache)
    assert len(limited) == count
    assert_equal(limited, again)
    assert limited.content_hash not in (samples.content_hash, other.content_hash)
    for kind, total in zip(*np.unique(samples.kind, return_counts=True), strict=True):
        assert abs((limited.kind == kind).sum() - total * count / len(samples)) <= 1
    if settings.name not in ("table", "ucr", "wafer"):
        place = list(zip(limited.record, limited.start, strict=True))
        assert place == sorted(place)


@pytest.mark.parametrize("model", [*(entry.settings for entry in DATASETS.values()), CentredWindow])
def test_every_setting_is_described(model):
    for name, field in model.model_fields.items():
        assert name == "name" or field.description, name


@pytest.mark.parametrize("case", [name for name in DATASETS if name not in REAL], indirect=True)
def test_a_damaged_cache_is_prepared_again(case):
    settings, folder, cache, samples = case
    dataset = DATASETS[settings.name]
    sources = dataset.sources(settings, folder, None)
    seed = 0 if dataset.seeded else None
    key = entry_key(settings.model_dump(mode="json"), sources, seed)
    for path in sorted((cache / key).iterdir()):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        assert read_entry(cache, key) is None, path.name
        assert_equal(load(settings, folder, 0, cache), samples)
        assert read_entry(cache, key) is not None, path.name

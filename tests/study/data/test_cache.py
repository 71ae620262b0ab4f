import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest

import study
from study.data.assembly import build_samples
from study.data.cache import entry_key, read_entry, write_entry
from study.data.mitbih import MitbihSettings
from study.data.samples import ARRAYS, Samples

KEY = "k" * 64


@pytest.fixture
def samples():
    values = np.random.default_rng(0).random((9, 32))
    kinds = ["a", "bb", "c"] * 3
    return build_samples(values, [0, 1, 1] * 3, kinds, kinds, sampling_rate_hz=125.0)


def test_names_of_channels_are_kept(tmp_path):
    values = np.random.default_rng(0).random((6, 2, 32))
    named = build_samples(
        values, [0, 1] * 3, ["a", "b"] * 3, ["a", "b"] * 3, channel_names=("x", "y")
    )
    assert write_entry(tmp_path, KEY, named)
    found = read_entry(tmp_path, KEY)
    assert found is not None
    assert found.channel_names == ("x", "y")
    np.testing.assert_array_equal(found.values, values.astype(np.float32))


def test_what_was_written_is_read(tmp_path, samples):
    assert read_entry(tmp_path, KEY) is None
    assert write_entry(tmp_path, KEY, samples)
    found = read_entry(tmp_path, KEY)
    assert found is not None
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(found, name), getattr(samples, name))
    assert found.content_hash == samples.content_hash
    assert found.sampling_rate_hz == 125.0
    assert not found.values.flags.writeable


def test_components_are_kept_with_their_names_and_verified(tmp_path, samples):
    components = {"pause": np.arange(9, dtype=np.float32), "early": np.ones(9, np.float32)}
    write_entry(tmp_path, KEY, replace(samples, components=components))
    found = read_entry(tmp_path, KEY)
    assert found is not None
    assert list(found.components) == ["pause", "early"]
    for name, expected in components.items():
        np.testing.assert_array_equal(found.components[name], expected)
    path = tmp_path / KEY / "components.pause.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    assert read_entry(tmp_path, KEY) is None


def test_nothing_but_the_entry_is_left_behind(tmp_path, samples):
    write_entry(tmp_path, KEY, samples)
    write_entry(tmp_path, KEY, samples)
    assert [path.name for path in tmp_path.iterdir()] == [KEY]
    names = {path.name for path in (tmp_path / KEY).iterdir()}
    assert names == {"manifest.json", *(f"{name}.npy" for name in ARRAYS)}


def test_every_byte_of_a_small_file_is_verified(tmp_path, samples):
    write_entry(tmp_path, KEY, samples)
    for name in ("label.npy", "manifest.json"):
        path = tmp_path / KEY / name
        content = path.read_bytes()
        for position in range(0, len(content), 3):
            changed = bytearray(content)
            changed[position] ^= 1 << (position % 8)
            path.write_bytes(changed)
            found = read_entry(tmp_path, KEY)
            # Only a change of blanks between the manifest's values changes nothing.
            assert found is None or (
                name == "manifest.json" and json.loads(changed) == json.loads(content)
            )
        path.write_bytes(content)
    assert read_entry(tmp_path, KEY) is not None


@pytest.mark.parametrize("name", ["manifest.json", "values.npy", "kind.npy"])
@pytest.mark.parametrize("kept", [None, 0, 10])
def test_a_missing_or_short_file_is_no_entry_and_is_replaced(tmp_path, samples, name, kept):
    write_entry(tmp_path, KEY, samples)
    path = tmp_path / KEY / name
    content = path.read_bytes()
    path.unlink()
    if kept is not None:
        path.write_bytes(content[:kept])
    assert read_entry(tmp_path, KEY) is None
    assert write_entry(tmp_path, KEY, samples)
    assert read_entry(tmp_path, KEY) is not None
    assert [path.name for path in tmp_path.iterdir()] == [KEY]


def test_an_entry_under_another_key_is_refused(tmp_path, samples):
    write_entry(tmp_path, KEY, samples)
    (tmp_path / KEY).rename(tmp_path / ("l" * 64))
    assert read_entry(tmp_path, "l" * 64) is None


def test_pickled_arrays_are_never_loaded(tmp_path, samples):
    write_entry(tmp_path, KEY, samples)
    path = tmp_path / KEY / "kind.npy"
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    assert read_entry(tmp_path, KEY) is None


def write_and_read(folder: Path, samples: Samples, damages: bool) -> bool:
    """Return whether an entry read back is whole, after damaging it first if asked to."""
    if damages:
        # A damaged entry makes every writer want to replace it.
        (folder / KEY / "label.npy").unlink(missing_ok=True)
    write_entry(folder, KEY, samples)
    found = read_entry(folder, KEY)
    return found is None or found.values.tobytes() == samples.values.tobytes()


@pytest.mark.slow
def test_writers_and_readers_at_once_see_whole_entries_only(tmp_path, samples):
    # Processes, as fold workers are: in Python before 3.11.8, threads that read NumPy's
    # files at once can fail in its parser (python/cpython#106905).
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        damages = (number % 5 == 0 for number in range(60))
        assert all(pool.map(write_and_read, repeat(tmp_path), repeat(samples), damages))
    write_entry(tmp_path, KEY, samples)
    assert read_entry(tmp_path, KEY) is not None
    assert [path.name for path in tmp_path.iterdir()] == [KEY]


def test_a_folder_that_cannot_be_written_is_answered_with_false(tmp_path, samples):
    (tmp_path / "file").write_text("")
    assert not write_entry(tmp_path / "file", KEY, samples)
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208


def test_the_key_knows_settings_sources_and_seed_but_not_the_limit():
    settings = {"name": "ucr", "length": 160, "limit": None}
    sources = [("a", "0" * 64)]
    key = entry_key(settings, sources, None)
    assert entry_key(settings | {"limit": 5}, sources, None) == key
    others = [
        entry_key(settings | {"length": 192}, sources, None),
        entry_key(settings, [("a", "1" * 64)], None),
        entry_key(settings, [("b", "0" * 64)], None),
        entry_key(settings, sources, 0),
        entry_key(settings, sources, 1),
    ]
    assert len({key, *others}) == 6


def test_the_key_tells_windows_amplitudes_and_components_apart_but_not_who_trains():
    def key(**changes):
        return entry_key(MitbihSettings.model_validate(changes).model_dump(mode="json"), [], None)

    assert key(clean=True) == key()
    changes = (
        {"window": "centred"},
        {"window": {"name": "centred", "rate": 200}},
        {"window": {"name": "centred", "before": 0.8, "after": 0.8}},
        {"window": "centred", "amplitude": "record"},
        {"window": "centred", "amplitude": "first_minutes"},
        {"window": "centred", "components": "record"},
    )
    assert len({key(), *(key(**each) for each in changes)}) == 1 + len(changes)


def test_samples_of_other_code_are_not_found(tmp_path):
    shutil.copytree(Path(study.__file__).parent, tmp_path / "study")
    program = "from study.data.cache import entry_key; print(entry_key({}, [], None))"

    def key():
        command = [sys.executable, "-c", program]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout

    before = key()
    assert before == f"{entry_key({}, [], None)}\n"
    with (tmp_path / "study" / "data" / "beats.py").open("a") as file:
        file.write("# other beats\n")
    assert key() not in ("", before)

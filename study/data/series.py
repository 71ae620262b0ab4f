"""Long recordings, cut into windows: files of your own, of benchmarks, and WFDB records."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from study.data.assembly import build_samples
from study.data.digests import source_digests
from study.data.entry import DatasetEntry
from study.data.point_tables import PointColumns
from study.data.precision import require_fine_steps, require_float32
from study.data.recordings import (
    Recording,
    read_events,
    read_recording,
    recording_name,
    require_recordings,
)
from study.data.resampling import IntArray, scale_rows
from study.data.samples import Samples
from study.data.series_settings import SeriesSettings
from study.data.tables.form import order_by_name
from study.data.wfdb_files import signal_files
from study.data.windows import cut, overlap, window_starts
from study.errors import RequestError


def locate(settings: SeriesSettings, data_folder: Path) -> list[Path]:
    """Return the files of the recordings, by the names of these.

    Raises:
        RequestError: a path or pattern names no file, or two recordings have one name.
    """
    if settings.wfdb:
        folders = (data_folder / settings.wfdb.folder, Path(settings.wfdb.folder))
        folder = next(filter(Path.is_dir, folders), None)
        paths = sorted(folder.glob("*.hea")) if folder else []
        if not paths:
            raise RequestError(
                f"dataset.wfdb.folder: expected a folder with WFDB records, found none at"
                f" {data_folder / settings.wfdb.folder}: correct it, or give the data folder with"
                " --data"
            )
    else:
        paths = [path for item in settings.path for path in _matching("path", item, data_folder)]
    names = [recording_name(path) for path in paths]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise RequestError(
            f"dataset.path: expected recordings of different names, found two {twice}"
        )
    return [path for _, path in sorted(zip(names, paths, strict=True))]


def _matching(setting: str, item: str, data_folder: Path) -> list[Path]:
    """Return the files that a path or pattern of a setting names."""
    for folder in (data_folder, Path()):
        path = folder / item
        files = [path] if path.is_file() else sorted(path.parent.glob(path.name))
        if files:
            return files
    raise RequestError(
        f"dataset.{setting}: expected an existing file, found none at {data_folder / item}: correct"
        " the path or give the data folder with --data"
    )


def _events_path(settings: SeriesSettings, data_folder: Path) -> list[Path]:
    return _matching("events", settings.events, data_folder)[:1] if settings.events else []


def sources(
    settings: SeriesSettings, data_folder: Path, memo_folder: Path | None
) -> list[tuple[str, str]]:
    """Return (name, sha256) of each file.

    Raises:
        RequestError: a file is missing or unreadable.
    """
    paths = locate(settings, data_folder)
    if settings.wfdb:
        endings = (".hea", ".dat", ".mat", f".{settings.wfdb.annotator}")
        every = [
            file
            for path in paths
            for file in (*map(path.with_suffix, endings), *signal_files(path.with_suffix("")))
        ]
        paths = [path for path in dict.fromkeys(every) if path.is_file()]
    paths = [*paths, *_events_path(settings, data_folder)]
    return list(zip([p.name for p in paths], source_digests(paths, memo_folder), strict=True))


def recordings(settings: SeriesSettings, data_folder: Path) -> Iterator[Recording]:
    """Yield the recordings, by their names; channels have the order of the first one's.

    Raises:
        RequestError: a file cannot be read, a value is too large, recordings have different
            channels or rates, or events are of other recordings.
    """
    columns = PointColumns(settings.label, settings.time, settings.channels)
    listed = _events_path(settings, data_folder)
    events = read_events(listed[0]) if listed else None
    paths = locate(settings, data_folder)
    if events is not None:
        require_recordings(events, [recording_name(path) for path in paths])
    first: Recording | None = None
    for path in paths:
        if settings.wfdb:
            from study.data.wfdb_series import read_wfdb

            recording = read_wfdb(path.with_suffix(""), settings.wfdb, settings.channels)
        else:
            recording = read_recording(path, columns, events)
        require_float32(recording.values, str(path))
        first = first or recording
        if recording.rate_hz != first.rate_hz:
            raise RequestError(
                f"{path}: expected {first.rate_hz:g} points a second, as {first.name} has, found"
                f" {recording.rate_hz:g}: keep records of one rate in dataset.wfdb.folder"
            )
        yield _in_order(path, recording, first)


def _in_order(path: Path, recording: Recording, first: Recording) -> Recording:
    """Return a recording with its channels in the order of the first one's.

    Without names channels go by their positions, and a single one is meant whatever its name.
    """
    names, wanted = recording.channels, first.channels
    if names == wanted:
        return recording
    order = order_by_name(names, wanted)
    if order is not None:
        return replace(recording, values=recording.values[:, order], channels=wanted)
    has_names = not any(all(map(str.isdecimal, each)) for each in (names, wanted))
    if len(names) == len(wanted) and (len(names) == 1 or not has_names):
        return recording
    raise RequestError(
        f"{path}: expected the channels of {first.name}, {', '.join(wanted)}, found"
        f" {', '.join(names)}: name those that all have in dataset.channels"
    )


def parts_of(recording: Recording, settings: SeriesSettings) -> list[tuple[str, int, int]]:
    """Return side, first point and the one after the last of each part of a recording.

    `train` is what is known to be normal, `validation` what follows up to `validate_until`, and
    `test` the rest. Where nothing is known to be normal, all is one part without a side.

    Raises:
        RequestError: the parts are not in this order, or the first is missing.
    """
    count = len(recording)
    normal = _points(settings.normal_until, count) or recording.normal_until
    validated = _points(settings.validate_until, count)
    if normal is None and validated is not None:
        raise RequestError(
            f"dataset.validate_until: expected a normal beginning of {recording.name}, which what"
            " validates follows, found none: set dataset.normal_until"
        )
    if normal is None:
        return [("", 0, count)]
    edges = [0, normal, validated or normal, count]
    if sorted(edges) != edges:
        raise RequestError(
            f"dataset.normal_until, dataset.validate_until: expected rising points within"
            f" {recording.name}, which has {count}, found {normal} and {validated}"
        )
    sides = zip(("train", "validation", "test"), edges[:-1], edges[1:], strict=True)
    return [(side, first, stop) for side, first, stop in sides if stop > first]


def _points(part: float | None, count: int) -> int | None:
    return round(part * count) if isinstance(part, float) else part


def prepare(settings: SeriesSettings, data_folder: Path, seed: int) -> Samples:
    """Return windows of all recordings; nothing depends on `seed`.

    A window lies in one part of its recording, and is abnormal if one of its points is.

    Raises:
        RequestError: a file or a setting is wrong.
    """
    del seed
    values, columns, events, ends = [], _Columns(), {}, []
    names: tuple[str, ...] = ()
    for recording in recordings(settings, data_folder):
        names = names or recording.channels
        events[recording.name] = recording.events
        ends += [recording.values.min(axis=0), recording.values.max(axis=0)]
        for side, first, stop in parts_of(recording, settings):
            starts = window_starts(first, stop, settings.length, settings.step)
            values.append(_windows(recording, starts, settings))
            columns.add(recording, side, starts, settings.length)
    windows = np.concatenate(values)
    if not len(windows):
        raise RequestError(
            f"dataset.length: expected recordings of at least {settings.length} points, found"
            " shorter ones: set a smaller length"
        )
    if settings.scaling == "training":
        low, high = np.min(ends, axis=0), np.max(ends, axis=0)
        source = "dataset.wfdb" if settings.wfdb else "dataset.path"
        require_fine_steps(low, high, names if len(names) > 1 else (), source)
    if settings.scaling == "none" and (windows.min() < 0 or windows.max() > 1):
        raise RequestError(
            f"dataset.scaling: expected values in [0, 1] with scaling none, found {windows.min():g}"
            f" to {windows.max():g}: set it to training"
        )
    kind = np.where(columns.label, "abnormal", "normal")
    return build_samples(
        values=windows,
        label=columns.label,
        kind=kind,
        symbol=kind,
        record=columns.record,
        patient=columns.record,
        side=columns.side,
        start=columns.start,
        extent=np.full(len(windows), settings.length),
        position=columns.start,
        sampling_rate_hz=settings.rate_hz,
        unit_range=settings.scaling != "training",
        channel_names=names if len(names) > 1 else (),
        events=events,
    )


def _windows(
    recording: Recording, starts: IntArray, settings: SeriesSettings
) -> npt.NDArray[np.float32]:
    """Return windows `(n, channels, length)` of a recording, scaled if each is by itself."""
    windows = cut(recording.values, starts, settings.length)
    if settings.scaling == "sample":
        windows = scale_rows(windows.reshape(-1, settings.length)).reshape(windows.shape)
    return windows.astype(np.float32)


class _Columns:
    """What is known of the windows, as they are added part by part."""

    def __init__(self) -> None:
        self.record: list[str] = []
        self.side: list[str] = []
        self.start: list[int] = []
        self.label: list[bool] = []

    def add(self, recording: Recording, side: str, starts: IntArray, length: int) -> None:
        """Add windows of one part of a recording."""
        self.record += [recording.name] * len(starts)
        self.side += [side] * len(starts)
        self.start += starts.tolist()
        self.label += _holds(recording.events, starts, length)


def _holds(events: IntArray, starts: IntArray, length: int) -> list[bool]:
    """Return whether each window holds an abnormal point."""
    held: list[bool] = overlap(starts, starts + length, events[:, 0], events[:, 1]).tolist()
    return held


def check(settings: SeriesSettings, data_folder: Path) -> list[str]:
    """Return what was understood of each recording, a line each.

    Raises:
        RequestError: a file or a setting is wrong.
    """
    return [_described(each, settings) for each in recordings(settings, data_folder)]


def _described(recording: Recording, settings: SeriesSettings) -> str:
    parts = parts_of(recording, settings)
    counts: Sequence[Any] = [
        f"{len(window_starts(a, b, settings.length, settings.step))} windows"
        f" {f'to {side} ' if side else ''}in points {a} to {b - 1}"
        for side, a, b in parts
    ]
    abnormal = int(np.sum(recording.events[:, 1] - recording.events[:, 0]))
    return (
        f"{recording.name}: {len(recording)} points of {', '.join(recording.channels)};"
        f" {len(recording.events)} abnormal stretches of {abnormal} points;"
        f" {', '.join(counts)}"
    )


ENTRY = DatasetEntry(
    settings=SeriesSettings,
    description="long recordings of your own, cut into windows, by path",
    sources=sources,
    prepare=prepare,
    check=check,
    fetch="series: nothing to fetch, it reads the files that dataset.path names",
)

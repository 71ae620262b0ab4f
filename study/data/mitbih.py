"""MIT-BIH Arrhythmia Database: beats from the WFDB records, after Kachuee et al. (2018)."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from study.data.assembly import build_samples
from study.data.beat_settings import BeatDatasetSettings
from study.data.beats import Beats, cut_beats, joined_beats
from study.data.digests import source_digests, source_sha256
from study.data.entry import UNKNOWN, DatasetEntry
from study.data.mitbih_records import (
    AAMI_CLASSES,
    CLASS_OF_SYMBOL,
    RATE_HZ,
    DS2Form,
    Record,
    patient_of,
    published_digests,
    read_record,
    record_names,
    side_of,
)
from study.data.resampling import fit_length
from study.data.samples import Samples
from study.data.wfdb_files import Leads, channel_names, lead_indices, signal_names
from study.errors import RequestError
from study.settings import added_field

if TYPE_CHECKING:
    from study.data.fetch import Progress

FOLDERS = ("mitdb", "mitbih")
URL = "https://physionet.org/files/mitdb/1.0.0/"


class MitbihSettings(BeatDatasetSettings):
    """Beats of the MIT-BIH Arrhythmia Database."""

    searchable: ClassVar[tuple[str, ...]] = (*BeatDatasetSettings.searchable, "leads")

    name: Literal["mitbih"] = "mitbih"
    ds2: DS2Form = added_field(
        "without_202",
        description="test records of protocol inter_patient: without_202 has 202 train with 201, "
        "which is the same person, and tests on 21; standard tests on the 22 of de Chazal et al. "
        "2004, and leaves 201 out",
    )
    leads: Leads = added_field(
        "first",
        description="signals that are a sample's channels: the 'first' of a record, which is "
        "MLII in 45 of 48; 'both', in the record's order; or a list of names, such as [MLII, V1], "
        "which leaves records out that lack one of them",
    )

    def labels_of(self, written: npt.NDArray[np.str_]) -> npt.NDArray[np.int8]:
        """Return `(n,)` 0 normal, 1 abnormal, -1 unknown, of annotation symbols."""
        known = np.isin(written, list(CLASS_OF_SYMBOL))
        normal = np.isin(written, list(AAMI_CLASSES["N"]))
        return np.where(known, np.where(normal, 0, 1), UNKNOWN).astype(np.int8)


def locate(data_folder: Path) -> Path:
    """Return the folder of the records.

    Raises:
        RequestError: there is none.
    """
    for name in FOLDERS:
        if (data_folder / name).is_dir():
            return data_folder / name
    raise RequestError(
        f"{data_folder / FOLDERS[0]}: expected a folder with the MIT-BIH records, found none: "
        f"run `python -m study.data fetch mitbih --data {data_folder}`"
    )


def sources(
    settings: MitbihSettings, data_folder: Path, memo_folder: Path | None
) -> list[tuple[str, str]]:
    """Return (name, sha256) of all 144 files, which are the published ones.

    Raises:
        RequestError: a file is missing or is not the published one.
    """
    del settings
    folder = locate(data_folder)
    published = published_digests()
    paths = [folder / name for name in published]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise RequestError(
            f"{missing[0]}: expected one of the {len(paths)} files of the MIT-BIH records, found "
            f"no file ({len(missing)} missing): "
            f"run `python -m study.data fetch mitbih --data {data_folder}`"
        )
    digests = source_digests(paths, memo_folder)
    for path, digest in zip(paths, digests, strict=True):
        # A remembered digest is no evidence against a file: look again.
        if digest != published[path.name] and source_sha256(path) != published[path.name]:
            raise RequestError(
                f"{path}: expected the published sha256 {published[path.name][:12]}..., found "
                f"{source_sha256(path)[:12]}... ({path.stat().st_size} bytes): run "
                f"`python -m study.data fetch mitbih --data {data_folder}` to replace it"
            )
    return list(published.items())


def beats_of(record: Record, settings: MitbihSettings) -> Beats:
    """Return the beats of a record, all but the last one."""
    return cut_beats(record.signal, record.rate_hz, record.position, record.abnormal, settings)


def prepare_records(names: Sequence[str], folder: Path, settings: MitbihSettings) -> Samples:
    """Return the beats of the records `names` in `folder`, record by record."""
    leads, signals = settings.leads, {name: signal_names(folder / name) for name in names}
    names = [name for name in names if lead_indices(signals[name], leads) is not None]
    if not names:
        known = sorted({signal for each in signals.values() for signal in each})
        raise RequestError(
            f"dataset.leads: expected signals that a record has, found {leads!r}: there are"
            f" {', '.join(known)}"
        )
    records = [read_record(folder / name, leads) for name in names]
    parts = [beats_of(record, settings) for record in records]
    beats = joined_beats(parts)
    symbol = np.concatenate([record.symbol[:-1] for record in records])
    record_of = np.repeat(list(names), [len(part.start) for part in parts])
    kind = [CLASS_OF_SYMBOL[item] for item in symbol]
    return build_samples(
        **vars(beats),
        label=[int(item != "N") for item in kind],
        kind=kind,
        symbol=symbol,
        record=record_of,
        patient=[patient_of(item) for item in record_of],
        side=[side_of(item, settings.ds2) for item in record_of],
        sampling_rate_hz=float(settings.window.rate_hz),
        channel_names=channel_names(leads),
    )


def prepare(settings: MitbihSettings, data_folder: Path, seed: int) -> Samples:
    """Return the 109,446 beats of all 48 records, or those of the ones that have the leads.

    Nothing of it depends on `seed`.
    """
    del seed
    return prepare_records(record_names(), locate(data_folder), settings)


def check(settings: MitbihSettings, data_folder: Path) -> list[str]:
    """Return what is right about the files on disk, a line each.

    Raises:
        RequestError: a file is missing or is not the published one.
    """
    count, folder = len(sources(settings, data_folder, None)), locate(data_folder)
    lines = [f"{folder}: all {count} files have the published sha256"]
    left_out = [
        name
        for name in record_names()
        if lead_indices(signal_names(folder / name), settings.leads) is None
    ]
    if left_out:
        lines.append(f"records left out, which lack one of the leads: {', '.join(left_out)}")
    return lines


def fetch(data_folder: Path, url: str | None, progress: "Progress") -> list[str]:
    """Download the files that are not on disk yet; return a line on what was done.

    Raises:
        RequestError: a downloaded file is not the published one.
        StudyFailedError: the server could not be reached or broke off.
    """
    from study.data.fetch import Download, fetch_files

    folders = [data_folder / name for name in FOLDERS if (data_folder / name).is_dir()]
    folder = folders[0] if folders else data_folder / FOLDERS[0]
    base = (url or URL).rstrip("/")
    downloads = [
        Download(url=f"{base}/{name}", path=folder / name, sha256=digest)
        for name, digest in published_digests().items()
    ]
    fetched = fetch_files(downloads, progress)
    return [f"{folder}: {fetched} files fetched, {len(downloads) - fetched} were there and right"]


ENTRY = DatasetEntry(
    settings=MitbihSettings,
    description="109,446 heartbeats of 47 people, AAMI classes",
    sources=sources,
    prepare=prepare,
    check=check,
    fetch=fetch,
    left_out=("Q",),  # paced and unclassifiable beats
    records_apart=("232",),  # 1,381 of the 1,836 supraventricular beats of DS2
    record_rate_hz=RATE_HZ,
    fit_rows=fit_length,
)

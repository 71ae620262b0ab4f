"""Deriving a study's tables again from its ledger, beside the study, and comparing them."""

import io
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow.parquet as pq

from study.config.schema import Study
from study.data.splits import stored_split_hashes
from study.ledger.differences import first_difference
from study.ledger.ledger import Ledger
from study.ledger.study_folder import SPLITS, SplitFacts
from study.report.build import build_report
from study.storage.folder import Folder, LocalFolder

COMPARED = (".parquet", ".md")
"""Endings of what is compared; pictures are drawn from these."""


def splits_difference(results: Folder, facts: Mapping[str, SplitFacts]) -> str:
    """Return in what `splits.parquet` is not what `study.yaml` says of it; "" in nothing."""
    where = results.locate(SPLITS)
    try:
        table = pq.read_table(io.BytesIO(results.read(SPLITS)))
        stored = stored_split_hashes(table)
    except FileNotFoundError:
        return f"{where} is missing"
    except (ValueError, KeyError, OSError) as error:
        return f"{where}: cannot be read ({type(error).__name__})"
    for protocol, each in facts.items():
        if stored.get(protocol) != each.split_hash:
            return f"{where}: folds of {protocol} are not those of study.yaml (sha256)"
    return ""


def table_differences(
    study: Study, facts: Mapping[str, SplitFacts], results: Folder, tolerance: float
) -> Iterator[tuple[str, str]]:
    """Derive tables and model cards again; yield each by name, with its first difference or "".

    Everything is fitted anew from the ledger, in a temporary folder: nothing cached is believed.

    Args:
        study: the study.
        facts: hash and leakage of its folds, by protocol.
        results: its results folder, which is only read.
        tolerance: share by which numbers may differ.
    """
    with tempfile.TemporaryDirectory(prefix="study-again-") as path:
        folder = LocalFolder(Path(path))
        report = build_report(study, facts, folder, ledger=Ledger.of(results))
        derived = [n for n in report.files if n.endswith(COMPARED)] if report else []
        for name in derived:
            try:
                stored = results.read(name)
            except FileNotFoundError:
                yield name, "is missing"
                continue
            yield name, first_difference(name, stored, folder.read(name), tolerance)
    for name in results.names():
        if name.endswith(".parquet") and name not in (*derived, SPLITS):
            yield name, "does not follow from the ledger"

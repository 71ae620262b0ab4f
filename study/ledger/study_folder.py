"""A study's results folder: what it belongs to, who writes to it, and starting anew."""

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from models.extensions import GROUPS, extending_packages
from study.config.dotted_keys import flatten
from study.config.schema import Study
from study.config.study_file import check_study, dump_study, parse_yaml, to_yaml
from study.config.variants import variants
from study.data.leakage import Leakage
from study.data.samples import Samples
from study.data.settings import DatasetSettings
from study.data.splits import Splits, splits_table
from study.errors import RequestError
from study.ledger.fold_files import to_parquet
from study.ledger.program import program
from study.storage.folder import Folder

STUDY = "study.yaml"
SPLITS = "splits.parquet"
VARIANTS = "variants"
"""What `provenance` holds of each variant of the samples, where there are several."""
VERSIONED = ("numpy", "optuna", "ray", "scikit-learn", "torch", "wfdb")
CHANGEABLE = (
    "resources.",
    "search.trials",
    "search.budget",
    "search.confirm",
    "provenance.",
)


def read_study(results: Folder) -> Study:
    """Return the study that a results folder holds.

    Raises:
        RequestError: it holds none, or not a sound one.
    """
    where = results.locate(STUDY)
    try:
        text = results.read(STUDY).decode()
    except (FileNotFoundError, UnicodeDecodeError):
        raise RequestError(f"{where}: is no study; give a folder that study.run wrote") from None
    content = parse_yaml(text, where)
    if not isinstance(content, Mapping):
        raise RequestError(f"{where}: must hold keys and values")
    return check_study(content, where)


@dataclass(frozen=True)
class VariantFacts:
    """What is known of one variant of the samples under one protocol.

    Attributes:
        dataset: the variant's settings.
        samples_hash: sha256 (hex) of its samples.
        leakage: as of `SplitFacts`, with the variant's windows.
        abnormal_neighbours: as of `SplitFacts`, in the variant's windows.
    """

    dataset: DatasetSettings
    samples_hash: str
    leakage: tuple[Leakage, ...]
    abnormal_neighbours: tuple[int, ...]


@dataclass(frozen=True)
class SplitFacts:
    """What the tables hold of the folds of one protocol.

    Attributes:
        split_hash: sha256 (hex) of the protocol and of every index list.
        leakage: what test samples share with training samples, by fold.
        abnormal_neighbours: training samples whose window holds an abnormal one, by fold; empty
            in studies from before they were counted.
        variants: where the study searches settings of its dataset, each variant of the samples, of
            the first of which the above is.
    """

    split_hash: str
    leakage: tuple[Leakage, ...]
    abnormal_neighbours: tuple[int, ...] = ()
    variants: tuple[VariantFacts, ...] = ()

    def of(self, dataset: DatasetSettings) -> "SplitFacts":
        """Return what holds of a trial's dataset."""
        for each in self.variants:
            if each.dataset == dataset:
                return SplitFacts(self.split_hash, each.leakage, each.abnormal_neighbours)
        return self


def stored_split_facts(results: Folder, study: Study) -> dict[str, SplitFacts]:
    """Return what a stored study holds of its folds, by protocol.

    Raises:
        RequestError: something is not there: the folder is of an older form.
    """
    provenance = study.provenance or {}
    facts: dict[str, SplitFacts] = {}
    for protocol in study.split.protocols:
        try:
            facts[protocol] = SplitFacts(
                str(provenance["split_hash"][protocol]),
                *_stored_counts(provenance, protocol),
                tuple(_stored_variants(study, protocol)),
            )
        except (KeyError, TypeError):
            raise RequestError(
                f"{results.locate(STUDY)}: provenance has nothing of the folds of {protocol}; run"
                " the study again, which adds it and trains nothing twice"
            ) from None
    return facts


def _stored_counts(
    stored: Mapping[str, Any], protocol: str
) -> tuple[tuple[Leakage, ...], tuple[int, ...]]:
    """Return leakage and abnormal neighbours, of a study or of a variant."""
    leakage = tuple(Leakage(**fold) for fold in stored["leakage"][protocol])
    return leakage, tuple(stored.get("abnormal_neighbours", {}).get(protocol, ()))


def _stored_variants(study: Study, protocol: str) -> Iterator[VariantFacts]:
    stored = (study.provenance or {}).get(VARIANTS, {})
    for each in variants(study) if stored else ():
        own = stored[each.label]
        yield VariantFacts(each.dataset, own["samples_hash"], *_stored_counts(own, protocol))


def stored_samples_hash(study: Study, dataset: DatasetSettings) -> str | None:
    """Return the hash of the samples that a trial of a stored study had, by its dataset."""
    own: Mapping[str, Any] = study.provenance or {}
    if stored := own.get(VARIANTS):
        own = next(stored[each.label] for each in variants(study) if each.dataset == dataset)
    return own.get("samples_hash")


def refuse_other_study(
    results: Folder,
    study: Study,
    samples: Samples,
    splits: Mapping[str, Splits],
    facts: Mapping[str, SplitFacts],
) -> None:
    """Raise RequestError if the folder belongs to a study with other results than `study`."""
    if not results.exists(STUDY):
        return
    stored = read_study(results)
    before, now = (flatten(dump_study(each)) for each in (stored, study))
    for key in sorted(before.keys() | now.keys()):
        if not key.startswith(CHANGEABLE) and before.get(key) != now.get(key):
            raise RequestError(
                f"{results.locate(STUDY)}: {key} is {_setting(before, key)} there and"
                f" {_setting(now, key)} now; use --fresh, another --output or another name"
            )
    provenance = stored.provenance or {}
    for key, value in _hashes(samples, splits).items():
        if provenance.get(key) != value:
            raise RequestError(
                f"{results.locate(STUDY)}: {key} is {provenance.get(key)} there and {value} now:"
                " the data changed; use --fresh or another --output"
            )
    before = provenance.get(VARIANTS, {})
    for label, own in _described_variants(study, facts).items():
        if before.get(label, {}).get("samples_hash") != own["samples_hash"]:
            raise RequestError(
                f"{results.locate(STUDY)}: the samples with {label} are others there: the data"
                " changed; use --fresh or another --output"
            )


def write_study(
    results: Folder,
    study: Study,
    samples: Samples,
    splits: Mapping[str, Splits],
    facts: Mapping[str, SplitFacts],
) -> None:
    """Write `study.yaml`, with versions, hashes and leakage, and `splits.parquet`.

    Every program that has written to the folder is named, the last one last.
    """
    provenance = {
        "programs": _programs(results),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in VERSIONED} | extending_packages(*GROUPS),
        **_hashes(samples, splits),
        "leakage": {p: [vars(fold) for fold in each.leakage] for p, each in facts.items()},
        "abnormal_neighbours": {p: list(each.abnormal_neighbours) for p, each in facts.items()},
    }
    if described := _described_variants(study, facts):
        provenance[VARIANTS] = described
    content = dump_study(study.model_copy(update={"provenance": provenance}))
    results.write(SPLITS, to_parquet(splits_table(samples, splits)))
    results.write(STUDY, to_yaml(content).encode())


def _described_variants(study: Study, facts: Mapping[str, SplitFacts]) -> dict[str, Any]:
    """Return what `study.yaml` holds of each variant of the samples, by its label; none of one."""
    described: dict[str, Any] = {}
    for protocol, each in facts.items():
        for variant, own in zip(variants(study), each.variants, strict=False):
            counts = described.setdefault(
                variant.label,
                {"samples_hash": own.samples_hash, "leakage": {}, "abnormal_neighbours": {}},
            )
            counts["leakage"][protocol] = [vars(fold) for fold in own.leakage]
            counts["abnormal_neighbours"][protocol] = list(own.abnormal_neighbours)
    return described


def _programs(results: Folder) -> list[dict[str, Any]]:
    """Return the programs that are named in a folder's study, and this one."""
    stored = read_study(results).provenance if results.exists(STUDY) else None
    earlier = [each for each in (stored or {}).get("programs", []) if each != program()]
    return [*earlier, program()]


def put_aside(output: Folder, name: str) -> str | None:
    """Rename a study's folder so that a new one can start; return where it is now."""
    if not output.exists(name):
        return None
    number = 1
    while output.exists(f"{name}.{number}"):
        number += 1
    output.move(name, f"{name}.{number}")
    return output.locate(f"{name}.{number}")


def _hashes(samples: Samples, splits: Mapping[str, Splits]) -> dict[str, Any]:
    split_hash = {protocol: divided.split_hash for protocol, divided in splits.items()}
    return {"samples_hash": samples.content_hash, "split_hash": split_hash}


def _setting(flat: Mapping[str, Any], key: str) -> str:
    return repr(flat[key]) if key in flat else "not set"

"""The paper's own numbers: `published.csv`, means and deviations over its folds.

Tables I and IV (TSTR), II (compositions) and III (systems), and the chi fit of figure 4. Its
TSTR is the reference code's: `tstr_normals`.
"""

import csv
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources

EPOCHS = 500
FOLDS = 5
READINGS = {"beatgan_plus_mse": "beatgan_plus"}
"""Another reading of a system of the paper, by the name that the paper's numbers have: its text
gives BeatGAN+ no reconstruction loss, and its reference code trains it with the MSE."""


@dataclass(frozen=True)
class Published:
    """A number of the paper.

    Attributes:
        mean: over the paper's folds.
        deviation: over its folds; None where it gives none.
    """

    mean: float
    deviation: float | None


@dataclass(frozen=True)
class PublishedKey:
    """Key of a number of the paper.

    Attributes:
        table: `I` to `IV`, or `Fig. 4`.
        dataset: `mitbih` or `wafer`.
        system: as studies name it, e.g. `vaegan_2`.
        composition: of the scores; "" for TSTR and the chi fit.
        metric: as the study's tables name it, e.g. `f1_weighted`.
    """

    table: str
    dataset: str
    system: str
    composition: str
    metric: str


@cache
def published_numbers() -> dict[PublishedKey, Published]:
    """Return all numbers of the paper that a study is compared with, by key."""
    text = resources.files(__package__).joinpath("published.csv").read_text(encoding="utf-8")
    return {
        PublishedKey(**{field.name: row[field.name] for field in fields(PublishedKey)}): (
            Published(float(row["mean"]), float(row["deviation"]) if row["deviation"] else None)
        )
        for row in csv.DictReader(text.splitlines())
    }


def published_number(
    table: str, dataset: str, system: str, composition: str, metric: str
) -> Published | None:
    """Return the paper's number of a system, or of what it is a reading of; None without."""
    key = PublishedKey(table, dataset, READINGS.get(system, system), composition, metric)
    return published_numbers().get(key)


def best_composition_published(dataset: str, system: str) -> str | None:
    """Return the composition behind a system's row of table III; None if it has no row."""
    system = READINGS.get(system, system)
    return next(
        (
            key.composition
            for key in published_numbers()
            if (key.table, key.dataset, key.system) == ("III", dataset, system)
        ),
        None,
    )

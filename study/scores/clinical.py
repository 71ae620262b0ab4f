"""Sensitivity, positive predictivity and false alarms of heartbeats by AAMI EC57.

The rules are those that de Chazal, O'Dwyer, Reilly (2004) take from ANSI/AAMI EC57, and that
PhysioNet's `bxb` counts by. Classes are N (normal and bundle branch block), S
(supraventricular ectopic, SVEB), V (ventricular ectopic, VEB), F (fusion of N and V) and Q
(paced or unclassifiable). Of a detector that names classes, with a row's first letter for
the beat and its second for what the detector calls it:

- VEB: Se = Vv / (all V); +P = Vv / (Vv + Nv + Sv). F and Q called V are neither a hit nor a
  false alarm.
- SVEB: Se = Ss / (all S); +P = Ss / (Ss + Ns + Vs + Fs). Q called S is neither.

A one-class detector calls beats abnormal and names no class. Its sensitivity by class is the
share of that class's beats that it calls abnormal. Its +P has two readings, and both are
columns: an alarm is false if the beat is normal, whatever class an abnormal beat is of; or,
strictly, every alarm is taken to name the class of the row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from study.scores.components import Float
from study.scores.decisions import Decisions

KINDS = ("N", "S", "V", "F", "Q")
"""Classes of AAMI EC57."""

BEAT_CLASSES = {"VEB": "V", "SVEB": "S", "abnormal": "SVF"}
"""Kinds of the beats that are to be detected, by the class's name; Q belongs to none."""

NAMED_FALSELY = {"VEB": "NS", "SVEB": "NVF", "abnormal": "N"}
"""Kinds whose alarms are false if every alarm names that class."""

ALL = "all"
SECONDS_PER_HOUR = 3600


@dataclass(frozen=True)
class ClinicalRow:
    """Beats of one class in one record, or in several together.

    Attributes:
        records: the record; `all` of them, their beats counted together (EC57's gross
            statistics); or all `without` one.
        beat_class: `VEB` (ventricular), `SVEB` (supraventricular), or `abnormal`: both, and
            fusion beats.
        beats: beats of the class.
        detected: of these, how many are called abnormal.
        sensitivity: `detected` over `beats`, in [0, 1]; nan without beats.
        false_alarms: normal beats (class N) that are called abnormal.
        positive_predictivity: `detected` over `detected` and `false_alarms`, in [0, 1]: alarms
            at other abnormal classes, and at unclassifiable beats, are left out; nan without
            alarms.
        positive_predictivity_strict: the same if every alarm names this class, as EC57 counts:
            for VEB alarms at S are false, too, and those at F and Q left out; for SVEB alarms
            at V and F are false, and those at Q left out.
        hours: signal that the test beats cover, all classes; nan if unknown.
        false_alarms_per_hour: `false_alarms` over `hours`; nan if unknown.
    """

    records: str
    beat_class: str
    beats: int
    detected: int
    sensitivity: float
    false_alarms: int
    positive_predictivity: float
    positive_predictivity_strict: float
    hours: float
    false_alarms_per_hour: float


@dataclass(frozen=True)
class Beats:
    """Test beats by record and class, in the order of the decisions.

    Attributes:
        record: `(n,)` index in `names`.
        names: `(r,)` the records, sorted.
        kind: `(n,)` index in `KINDS`.
        hours: `(r,)` signal that test beats of each record cover; nan if unknown.
    """

    record: npt.NDArray[np.int64]
    names: npt.NDArray[np.str_]
    kind: npt.NDArray[np.int64]
    hours: Float

    @classmethod
    def of(
        cls, record: npt.NDArray[np.str_], kind: npt.NDArray[np.str_], seconds: Float
    ) -> "Beats":
        """Return beats, `(n,)` each, of records, kinds and the seconds that each covers.

        Raises:
            ValueError: a kind that is none of `KINDS`.
        """
        names, code = np.unique(record, return_inverse=True)
        index = np.full(len(kind), -1, dtype=np.int64)
        for number, name in enumerate(KINDS):
            index[kind == name] = number
        if (index < 0).any():
            unknown = str(kind[index < 0][0])
            raise ValueError(f"kinds must be of {', '.join(KINDS)}, found {unknown!r}")
        covered = np.bincount(code, weights=seconds, minlength=len(names))
        return cls(code.astype(np.int64), names, index, covered / SECONDS_PER_HOUR)


def clinical_rows(
    decisions: Decisions, beats: Beats, apart: Sequence[str] = ()
) -> Iterator[ClinicalRow]:
    """Yield the rows of all records together, of all without each of `apart`, and of each record.

    Args:
        decisions: of `n` test beats.
        beats: these beats.
        apart: records to leave out, one at a time; those that are not there have no row.
    """
    cells = len(beats.names) * len(KINDS)
    cell = beats.record * len(KINDS) + beats.kind
    called = np.bincount(cell[decisions.prediction == 1], minlength=cells).reshape(-1, len(KINDS))
    total = np.bincount(cell, minlength=cells).reshape(-1, len(KINDS))
    for name, chosen in _groups(beats.names, apart):
        hours = float(beats.hours[chosen].sum())
        yield from _rows(name, total[chosen].sum(axis=0), called[chosen].sum(axis=0), hours)


def _groups(
    names: npt.NDArray[np.str_], apart: Sequence[str]
) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    yield ALL, np.ones(len(names), dtype=np.bool_)
    for record in apart:
        if record in names and len(names) > 1:
            yield f"without {record}", names != record
    for record in names.tolist():
        yield record, names == record


def _rows(
    name: str, total: npt.NDArray[np.int64], called: npt.NDArray[np.int64], hours: float
) -> Iterator[ClinicalRow]:
    """Yield a row per class, of beats and of alarms by kind, `(5,)` each."""

    def counted(counts: npt.NDArray[np.int64], kinds: str) -> int:
        return int(sum(counts[KINDS.index(kind)] for kind in kinds))

    false_alarms = counted(called, "N")
    for beat_class, kinds in BEAT_CLASSES.items():
        beats, detected = counted(total, kinds), counted(called, kinds)
        yield ClinicalRow(
            records=name,
            beat_class=beat_class,
            beats=beats,
            detected=detected,
            sensitivity=_share(detected, beats),
            false_alarms=false_alarms,
            positive_predictivity=_share(detected, detected + false_alarms),
            positive_predictivity_strict=_share(
                detected, detected + counted(called, NAMED_FALSELY[beat_class])
            ),
            hours=hours,
            false_alarms_per_hour=_share(false_alarms, hours),
        )


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")

"""False alarms by patient, beside the share that a threshold without labels promised."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from study.report import epochs
from study.report.dataclass_tables import schema_fields
from study.scores.rules import compositions_of
from study.scores.settings import ScoreSettings

KEYS = (*epochs.KEYS, "epoch_rule", "composition", "latent_form")


@dataclass(frozen=True)
class PatientAlarms:
    """False alarms of one patient.

    Attributes:
        patient: whom the samples are of.
        normal: the patient's normal test samples, at least one.
        false_alarms: those predicted abnormal.
        share: false alarms over normal samples, in [0, 1].
        promised: 1 - `scores.quantile`: with `held_out_patients` the share's mean over new
            patients is at most this, with `held_out` that of new samples of known patients.
    """

    patient: str
    normal: int
    false_alarms: int
    share: float
    promised: float


def false_alarms_table(strata: pa.Table, scores: ScoreSettings) -> pa.Table:
    """Return `false_alarms.parquet`: a row per fold, composition and patient.

    Of the compositions whose threshold is a quantile of normals, where these are held out.

    Args:
        strata: `strata.parquet`.
        scores: the study's settings; normals that trained promise nothing.
    """
    known = compositions_of(scores)
    names = [name for name, entry in known.items() if entry.fitted_to_normals]
    if scores.quantile_of == "training":
        names = []
    chosen = pc.and_(
        pc.equal(strata["stratum"], "patient"),
        pc.and_(
            pc.is_in(strata["composition"], pa.array(names, pa.string())),
            pc.greater(strata["normal"], 0),
        ),
    )
    rows = strata.filter(chosen)
    share = pc.divide(rows["false_alarms"].cast(pa.float64()), rows["normal"])
    columns = {name: rows[name] for name in KEYS} | {
        "patient": rows["value"],
        "normal": rows["normal"],
        "false_alarms": rows["false_alarms"],
        "share": share,
        "promised": pa.array([1 - scores.quantile] * len(rows), pa.float64()),
    }
    return pa.table(columns).cast(
        pa.schema([*(strata.schema.field(name) for name in KEYS), *schema_fields(PatientAlarms)])
    )

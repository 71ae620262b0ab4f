"""What knowing the patient is worth: one system under two protocols.

`paper` and `kfold` test on beats of patients who also train; `inter_patient` does not.
"""

import pandas as pd
import pyarrow as pa

HELD_METRICS = ("f1_weighted", "phi", "auroc", "auroc_labels")
INTER_PATIENT = "inter_patient"
OF_THE_SPLIT = ("param.split.protocol", "param.split.beside")
"""Settings that two trials of one system may differ in."""

_NAMED = ("system", "dataset", "model", "protocol", "trial", "trial_inter_patient")
_DECIDED = ("epoch_rule", "composition", "latent_form")

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in (*_NAMED, *_DECIDED)),
        *(
            (f"{metric}{end}", pa.float64())
            for metric in HELD_METRICS
            for end in ("", "_inter_patient", "_difference")
        ),
    ]
)
"""Columns of the differences."""


def protocol_differences(summary: pa.Table) -> pa.Table:
    """Hold every row of a protocol that mixes patients against its row of `inter_patient`.

    Two rows belong together if they are of one dataset, epoch rule, composition and latent
    form, and of one `system`; where that is "", of equal settings but for the protocol.

    Args:
        summary: `summary.parquet` with a column `system`.

    Returns:
        A table of `SCHEMA` in the order of the rows that mix patients. `<metric>` is the
        mean over folds under `protocol`, `<metric>_inter_patient` that under
        `inter_patient`, and `<metric>_difference` the first minus the second.
    """
    parameters = [name for name in summary.column_names if name.startswith("param.")]
    means = [f"{metric}_mean" for metric in HELD_METRICS]
    known = ["system", "dataset", "model", "protocol", "trial", *_DECIDED]
    frame = summary.select([*known, *means, *parameters]).to_pandas()
    frame["system"] = frame["system"].fillna("")
    frame["configuration"] = _configurations(
        frame, [name for name in parameters if name not in OF_THE_SPLIT]
    )
    frame = frame.rename(columns=dict(zip(means, HELD_METRICS, strict=True)))
    apart = frame["protocol"] == INTER_PATIENT
    key = ["dataset", "configuration", *_DECIDED]
    other = frame.loc[apart, [*key, "trial", *HELD_METRICS]]
    held = frame[~apart].merge(other, on=key, suffixes=("", "_inter_patient"))
    for metric in HELD_METRICS:
        held[f"{metric}_difference"] = held[metric] - held[f"{metric}_inter_patient"]
    # Column by column: whole frames lose the difference between nan and null.
    return pa.table({name: held[name].to_numpy() for name in SCHEMA.names}, schema=SCHEMA)


def _configurations(frame: pd.DataFrame, settings: list[str]) -> pd.Series:
    """Return what rows of one system share: its name, or a number of its settings."""
    number = frame.groupby(["model", *settings], sort=False, dropna=False).ngroup()
    return frame["system"].where(frame["system"] != "", "settings " + number.astype(str))

"""One system under two protocols: how much the result owes to patients seen in training.

`paper` and `kfold` test on beats of patients who also train; `inter_patient` does not.
"""

import pandas as pd
import pyarrow as pa

COMPARED_METRICS = ("f1_weighted", "phi", "auroc", "auroc_labels")
INTER_PATIENT = "inter_patient"
PROTOCOL_SETTINGS = ("param.split.protocol", "param.split.beside")
"""Settings that two trials of one system may differ in."""

_NAMES = ("system", "dataset", "model", "protocol", "trial", "trial_inter_patient")
_COMPOSITION = ("epoch_rule", "composition", "latent_form")

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in (*_NAMES, *_COMPOSITION)),
        *(
            (f"{metric}{end}", pa.float64())
            for metric in COMPARED_METRICS
            for end in ("", "_inter_patient", "_difference")
        ),
    ]
)
"""Columns of the differences."""


def protocol_differences(summary: pa.Table) -> pa.Table:
    """Compare every row of a protocol that mixes patients with its row of `inter_patient`.

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
    means = [f"{metric}_mean" for metric in COMPARED_METRICS]
    keys = ["system", "dataset", "model", "protocol", "trial", *_COMPOSITION]
    frame = summary.select([*keys, *means, *parameters]).to_pandas()
    frame["system"] = frame["system"].fillna("")
    frame["configuration"] = _configurations(
        frame, [name for name in parameters if name not in PROTOCOL_SETTINGS]
    )
    frame = frame.rename(columns=dict(zip(means, COMPARED_METRICS, strict=True)))
    is_inter_patient = frame["protocol"] == INTER_PATIENT
    key = ["dataset", "configuration", *_COMPOSITION]
    other = frame.loc[is_inter_patient, [*key, "trial", *COMPARED_METRICS]]
    pairs = frame[~is_inter_patient].merge(other, on=key, suffixes=("", "_inter_patient"))
    for metric in COMPARED_METRICS:
        pairs[f"{metric}_difference"] = pairs[metric] - pairs[f"{metric}_inter_patient"]
    # Column by column: whole frames lose the difference between nan and null.
    return pa.table({name: pairs[name].to_numpy() for name in SCHEMA.names}, schema=SCHEMA)


def _configurations(frame: pd.DataFrame, settings: list[str]) -> pd.Series:
    """Return the same text for rows of one system: its name, or a number of its settings."""
    number = frame.groupby(["model", *settings], sort=False, dropna=False).ngroup()
    return frame["system"].where(frame["system"] != "", "settings " + number.astype(str))

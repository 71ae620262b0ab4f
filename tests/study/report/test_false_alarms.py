import numpy as np
import pandas as pd
import pyarrow as pa

from study.report.false_alarms import KEYS, false_alarms_table
from study.scores.settings import ScoreSettings

OWN = {
    "unusual": {"components": ["reconstruction_error"], "rule": "quantile"},
    "machine": {"components": ["reconstruction_error"], "rule": "svm"},
}
HELD_OUT = ScoreSettings(quantile_of="held_out_patients", quantile=0.75, compositions=OWN)


def strata():
    """Counts of two patients, one without normal samples, and of a kind."""
    names = ["reconstruction", "reconstruction_quantile", "unusual", "machine"]
    rows = [
        {
            **dict.fromkeys(KEYS, "x"), "fold": fold, "composition": name, "stratum": stratum,
            "value": value, "normal": normal, "abnormal": 4, "false_alarms": alarms, "hits": 1,
            "auroc": np.nan,
        }
        for fold in (0, 1)
        for name in names
        for stratum, value, normal, alarms in (
            ("kind", "N", 30, 9), ("patient", "p", 20, 3 + fold), ("patient", "q", 10, 0),
            ("patient", "r", 0, 0),
        )
    ]  # fmt: skip
    return pa.Table.from_pylist(rows)


def test_quantiles_of_held_out_normals_have_a_row_per_patient_with_normals():
    frame = false_alarms_table(strata(), HELD_OUT).to_pandas()
    expected = pd.DataFrame(
        [
            {"fold": fold, "composition": name, "patient": patient, "normal": normal,
             "false_alarms": alarms, "share": alarms / normal, "promised": 0.25}
            for fold in (0, 1)
            for name in ("reconstruction_quantile", "unusual")
            for patient, normal, alarms in (("p", 20, 3 + fold), ("q", 10, 0))
        ]
    )  # fmt: skip
    pd.testing.assert_frame_equal(frame[list(expected)], expected)
    assert list(frame) == [*KEYS, "patient", "normal", "false_alarms", "share", "promised"]


def test_held_out_samples_of_known_patients_promise_a_share_too():
    settings = HELD_OUT.model_copy(update={"quantile_of": "held_out"})
    assert false_alarms_table(strata(), settings).equals(false_alarms_table(strata(), HELD_OUT))


def test_normals_that_trained_promise_nothing():
    assert false_alarms_table(strata(), ScoreSettings()).num_rows == 0

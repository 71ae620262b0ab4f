"""What Ray Tune hears of a trial: the mean over its folds, and each fold's values.

Every worker of the group unpickles the callback, so this module imports little.
"""

from typing import Any

import numpy as np
from ray.train import UserCallback

from study.ledger import fold_name


class FoldMeans(UserCallback):
    """Sends Tune the mean over folds and each fold's value, once all folds have reported.

    Ray's own callback for this sends what the first worker says, and nothing of others.
    """

    def __init__(self, tune_reports: Any) -> None:
        self._tune_reports = tune_reports

    def after_report(
        self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any
    ) -> None:
        """See `ray.train.UserCallback.after_report`; `metrics` has a dict for each fold."""
        self._tune_reports.put(mean_over_folds(metrics))


def mean_over_folds(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what Tune hears of a trial from what its folds say of the same epoch.

    If a fold failed, so has the trial, and there is no `value`.
    """
    merged: dict[str, Any] = {
        "epoch": reports[0]["epoch"],
        "state": reports[0]["state"],
        "reason": "",
    }
    for fold, report in enumerate(reports):
        merged[f"{fold_name(fold)}/value"] = report["value"]
        for name, score in report["scores"].items():
            merged[f"{fold_name(fold)}/{name}"] = score
    failed = [f"fold {f}: {r['reason']}" for f, r in enumerate(reports) if r["state"] == "failed"]
    if failed:
        return {**merged, "state": "failed", "reason": "; ".join(failed)}
    merged["value"] = float(np.mean([report["value"] for report in reports]))
    for name in reports[0]["scores"]:
        merged[name] = float(np.mean([report["scores"][name] for report in reports]))
    return merged

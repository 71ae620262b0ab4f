"""A study on a cluster of which one node is ill."""

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from study.ledger.ledger import Ledger
from study.storage.folder import LocalFolder
from tests.gate import Gate
from tests.small_studies import BETA, study_text
from tests.study_run import MARK, Run, kill_marked

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
STUDY = study_text(
    "sick",
    dataset={"patients": 2, "beats_per_patient": 30},
    split={"folds": 1},
    training={"epochs": 1},
    search={"trials": 3, "space": BETA},
    resources={"per_fold": {"cpu": 1, "gpu": 0}},
)


def test_a_sick_node_is_left_alone_and_no_trial_fails(tmp_path: Path) -> None:
    """Three trials run at a time, two of them where every fold raises a CUDA error.

    A trial is a fold and its worker: nodes are what matters here.
    """
    (tmp_path / "sick.yaml").write_text(STUDY)
    gate, mark = Gate(tmp_path, epochs=0), secrets.token_hex(16)
    gate.open()
    environment = gate.environment | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }
    cluster = subprocess.Popen(
        [sys.executable, "-m", "tests.cluster.sick_cluster", "cuda", "1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment, MARK: mark},
    )
    assert cluster.stdout
    run = None
    try:
        address = cluster.stdout.readline().strip()
        arguments = ("--output", str(tmp_path), "--address", address)
        run = Run(tmp_path, str(tmp_path / "sick.yaml"), *arguments, **environment)
        assert run.wait() == 0, run.printed()
        printed = run.printed()
    finally:
        if run:
            run.stop()
        kill_marked(mark)
        cluster.wait()
    assert "RuntimeError: CUDA error" in printed
    assert printed.count("it is left alone for the rest of this run") == 1
    records = Ledger(LocalFolder(tmp_path / "sick" / "ledger")).trials()
    assert [record.state for record in records] == ["completed"] * 3

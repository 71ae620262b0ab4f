"""A ledger is read whole: what is damaged is named, and nothing else is."""

from collections.abc import Callable
from pathlib import Path

import pytest

from study.config.schema import Study
from study.ledger.ledger import LEARNED, FoldManifest, Ledger
from study.ledger.run_time import FILE, RunTime
from study.ledger.verification import damages
from study.search.trial import LearnedTrial, Proposal, RungDecision
from study.storage.folder import LocalFolder
from tests.study.trials import record_of, trial_of

WRITTEN = (
    "trial.json",
    "proposal.json",
    "rung-000002.json",
    "fold-0/manifest.json",
    "fold-1/model.safetensors",
)


@pytest.fixture
def ledger(tmp_path: Path, tiny_study: Callable[..., Study]) -> Ledger:
    ledger, trial = Ledger(LocalFolder(tmp_path)), trial_of(tiny_study())
    ledger.record_proposal(Proposal(trial, 0, (), 1))
    ledger.record_decision(RungDecision(trial.name, 2, 0.5, goes_on=True, order=0))
    for fold in range(2):
        manifest = FoldManifest(trial.name, fold, "completed", "", 2, 2, {})
        ledger.commit_fold(manifest, {"model.safetensors": bytes(range(200))})
    ledger.record_trial(record_of(trial, values=[(2, 0.5)]))
    return ledger


def test_a_sound_ledger_has_no_damage(ledger: Ledger) -> None:
    assert list(damages(ledger)) == []


@pytest.mark.parametrize("name", WRITTEN)
def test_a_flipped_byte_is_named(name: str, ledger: Ledger) -> None:
    path = f"trial-00000/{name}"
    content = bytearray(ledger.folder.read(path))
    content[len(content) // 2] ^= 1
    ledger.folder.write(path, bytes(content))
    (line,) = damages(ledger)
    assert line.startswith(ledger.folder.locate(path))


def test_what_is_written_of_the_whole_study_is_read_too(ledger: Ledger) -> None:
    ledger.record_learned([LearnedTrial("results/other", "trial-00000", {}, "completed", [])])
    RunTime(ledger).save()
    assert list(damages(ledger)) == []
    for name in (LEARNED, FILE):
        ledger.folder.write(name, ledger.folder.read(name)[:-1] + b"!")
    wheres = map(ledger.folder.locate, (LEARNED, FILE))
    lines = list(damages(ledger))
    assert [line.startswith(where) for line, where in zip(lines, wheres, strict=True)] == [True] * 2


def test_a_file_that_is_gone_is_named(ledger: Ledger) -> None:
    ledger.folder.remove("trial-00000/fold-1/model.safetensors")
    assert [line.endswith("is missing") for line in damages(ledger)] == [True]

"""The forms of a ledger's sealed files: JSON with a seal, a hash of all the rest of it.

Beside a fold's manifest they hold how a trial ended, what it was proposed from, what was decided at
its rungs, and what its search learns of other studies. A function that reads one of these raises
one of `MALFORMED` where its content is something else.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

from study.config.trial_config import TrialConfig
from study.search.trial import (
    LearnedTrial,
    Proposal,
    RungDecision,
    Trial,
    TrialRecord,
    order_of,
)
from study.storage.hashes import canonical_hash

FORMAT = 1
MALFORMED = (KeyError, TypeError, ValueError)


def sealed(content: Mapping[str, Any]) -> bytes:
    """Return the file of `content`."""
    content = {"format": FORMAT, **content}
    return json.dumps({**content, "seal": canonical_hash(content)}, indent=1).encode()


def unsealed(raw: bytes, *, is_checked: bool = False) -> dict[str, Any] | None:
    """Return the content of what `sealed` made; None if it is damaged.

    Args:
        raw: the file.
        is_checked: whether its seal was checked before, and another digest holds it since.
    """
    try:
        content: dict[str, Any] = json.loads(raw)
        seal = content.pop("seal")
        is_sound = is_checked or seal == canonical_hash(content)
        is_sound = content.pop("format") == FORMAT and is_sound
    except (*MALFORMED, AttributeError, RecursionError):
        return None
    return content if is_sound else None


def record_file(record: TrialRecord) -> bytes:
    """Return the file of how a trial ended."""
    outcome = _without_none(vars(record))
    del outcome["trial"]
    if not record.objectives:
        del outcome["objectives"]
    return sealed(record.trial.to_dict() | outcome)


def read_record(content: Mapping[str, Any], trial: str) -> TrialRecord:
    """Return how the trial with this name ended."""
    described = dict(content)
    outcome = {key: described.pop(key) for key in ("state", "reason", "completion_order")}
    outcome["num_folds"] = described.pop("num_folds", None)
    outcome["values"] = _values(described.pop("values"))
    outcome["objectives"] = described.pop("objectives", {})
    record = TrialRecord(Trial.from_dict(described), **outcome)
    _require_trial(record.name, trial)
    return record


def complete_older(
    content: Mapping[str, Any], trial: str, described: Mapping[str, Any]
) -> dict[str, Any]:
    """Complete what a trial's file holds from before it had a configuration.

    Args:
        content: what it holds.
        trial: the trial's name.
        described: `model.json` of one of its folds. One that was trained again since then is of
            the present form.
    """
    completed = dict(content)
    config = TrialConfig.from_stored(described.get("config") or described["study"])
    is_repetition, number = order_of(trial) or (0, -1)
    return completed | {
        "number": number,
        "config": config.to_dict(),
        "system": completed["parameters"].get("system", ""),
        "is_repetition": bool(is_repetition),
        "completion_order": completed.pop("arrival"),
    }


def read_proposal(content: Mapping[str, Any], trial: str) -> Proposal:
    """Return how the trial with this name was proposed."""
    proposal = Proposal.from_dict(content)
    _require_trial(proposal.trial.name, trial)
    return proposal


def decision_file(decision: RungDecision) -> bytes:
    """Return the file of a decision."""
    decided = _without_none(asdict(decision))
    if not decision.objectives:
        del decided["objectives"]
    return sealed(decided)


def read_decision(content: Mapping[str, Any], trial: str) -> RungDecision:
    """Return what was decided on the trial with this name."""
    decision = RungDecision(**content)
    _require_trial(decision.trial, trial)
    return decision


def learned_file(trials: Iterable[LearnedTrial]) -> bytes:
    """Return the file of what a search learns of other studies."""
    return sealed({"trials": [asdict(trial) for trial in trials]})


def read_learned(content: Mapping[str, Any]) -> list[LearnedTrial]:
    """Return what a search learns of other studies."""
    trials = [LearnedTrial(**trial) for trial in content["trials"]]
    return [replace(trial, values=_values(trial.values)) for trial in trials]


def _values(stored: Iterable[Any]) -> list[tuple[int, float]]:
    return [(int(epoch), float(value)) for epoch, value in stored]


def _require_trial(name: str, trial: str) -> None:
    if name != trial:
        raise ValueError(f"expected a file of {trial}, found one of {name}")


def _without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that are not None: what older forms lack is not written for nothing."""
    return {name: value for name, value in fields.items() if value is not None}

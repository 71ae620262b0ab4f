"""What a sealed file holds is read back; what is anything else is refused."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from study.config.schema import Study
from study.ledger import sealed_files
from study.ledger.sealed_files import MALFORMED, sealed, unsealed
from study.search.trial import LearnedTrial, RungDecision
from tests.study.trials import record_of, trial_of

DECISION = RungDecision("trial-00000", 2, 0.5, goes_on=True, order=0)


@pytest.mark.parametrize("raw", [b"", b"[]", b"3", b"{}", b"[" * 100_000, b"\xff"])
def test_other_content_has_no_seal(raw: bytes) -> None:
    assert unsealed(raw) is None


def test_a_changed_value_does_not_match_the_seal() -> None:
    raw = sealed({"a": 1})
    assert unsealed(raw) == {"a": 1}
    assert unsealed(raw.replace(b"1,", b"2,")) is None


def test_what_a_decision_lacks_is_not_written() -> None:
    content = json.loads(sealed_files.decision_file(DECISION))
    assert content.keys() == {"format", "trial", "epoch", "value", "goes_on", "order", "seal"}


def test_records_decisions_and_learned_trials_are_read_back(
    tiny_study: Callable[..., Study],
) -> None:
    record = record_of(trial_of(tiny_study()), values=[(2, 0.5)])
    learned = LearnedTrial("results/other", "trial-00000", {}, "completed", [(1, 0.5)])
    read: list[tuple[bytes, Callable[[Any], object], object]] = [
        (sealed_files.record_file(record),
         lambda content: sealed_files.read_record(content, record.name), record),
        (sealed_files.decision_file(DECISION),
         lambda content: sealed_files.read_decision(content, "trial-00000"), DECISION),
        (sealed_files.learned_file([learned]), sealed_files.read_learned, [learned]),
    ]  # fmt: skip
    for raw, reads, expected in read:
        assert reads(unsealed(raw)) == expected
        with pytest.raises(MALFORMED):
            reads({})


def test_a_file_of_another_trial_is_refused() -> None:
    content = unsealed(sealed_files.decision_file(DECISION))
    assert content is not None
    with pytest.raises(ValueError, match="expected a file of trial-00001, found one of trial-0000"):
        sealed_files.read_decision(content, "trial-00001")

"""Running a study again by what another run of it decided: its proposals and its rungs."""

from collections.abc import Iterable

from study.errors import RequestError
from study.ledger.learned import has_learned
from study.ledger.ledger import Ledger
from study.ledger.run_time import copy_run_time
from study.search.trial import Proposal, TrialRecord
from study.storage.folder import Folder


def known_proposals(ledger: Ledger, records: Iterable[TrialRecord]) -> list[Proposal]:
    """Return the proposals that a ledger holds, and one for each of `records` without.

    Results from before proposals were written down have none; systems never have any.
    """
    known = {proposal.trial.name: proposal for proposal in ledger.proposals()}
    for record in records:
        if not record.trial.system and not record.trial.is_repetition:
            made = Proposal(record.trial, record.completion_order, (), 0)
            known.setdefault(record.name, made)
    return sorted(known.values(), key=lambda proposal: proposal.trial.order)


def refuse_other_trials(results: Folder, replayed: Folder) -> None:
    """Raise RequestError if a results folder has other trials than the one that is replayed."""
    theirs = {each.trial.name: each for each in _proposals(Ledger.of(replayed))}
    for mine in Ledger.of(results).proposals():
        other = theirs.get(mine.trial.name)
        if other and other.trial.parameters != mine.trial.parameters:
            raise RequestError(
                f"{results.locate()}: {mine.trial.name} has other settings than in"
                f" {replayed.locate()}; use --fresh or another --output"
            )


def copy_decisions(replayed: Folder, results: Folder) -> None:
    """Write the proposals and the decisions of one results folder into another's ledger.

    They are then those of an earlier run, which a study that is continued follows. What is
    there already stays. With the time that the other has taken, a budget that it has spent is
    spent here too, so that no further trial is proposed.
    """
    source, target = Ledger.of(replayed), Ledger.of(results)
    if has_learned(replayed) and not has_learned(results):
        target.record_learned(source.learned())
    for proposal in _proposals(source):
        if target.proposal(proposal.trial.name) is None:
            target.record_proposal(proposal)
    there = {(decision.trial, decision.epoch) for decision in target.decisions()}
    for decision in source.decisions():
        if (decision.trial, decision.epoch) not in there:
            target.record_decision(decision)
    copy_run_time(source, target)


def _proposals(ledger: Ledger) -> list[Proposal]:
    return known_proposals(ledger, ledger.trials())

"""What validation labels chose of a row: only where they chose nothing is it one-class.

Training sees normals alone, and so does any one-class method; that they are normal is all that
it knows. What else a row rests on can have been chosen by labels of abnormal samples: its
trial, its epoch, the weights of its composition, and the threshold.
"""

from models import MODELS
from study.ledger.fold_files import EPOCH_RULES
from study.scores.settings import REPORTED_SCORES
from study.search.trial import TrialRecord

TRIAL, EPOCH = "trial", "epoch"
BEST, LAST = EPOCH_RULES


def labels_chose(record: TrialRecord, epoch_rule: str) -> tuple[str, ...]:
    """Return what labels chose of a trial under an epoch rule: of `trial` and `epoch`.

    A search proposes, stops and ranks its trials by a metric of labels, so that labels chose
    each of them, as they chose what a repetition repeats; a study of systems names its trials
    beforehand. Labels chose the best validation epoch if there were several to choose from,
    and the last one of a trial that was stopped early. Where the metric is the error of normals,
    they chose no epoch, and a trial only if `search.metrics` has a score of labels.
    """
    trial = record.trial
    is_searched = trial.is_repetition or (bool(trial.parameters) and not trial.system)
    if not trial.config.metric.reads_labels:
        is_proposed = is_searched and not set(REPORTED_SCORES).isdisjoint(trial.config.metrics)
        return (TRIAL,) if is_proposed else ()
    has_choice = len(record.values) > 1 and not MODELS[trial.config.model.name].fitted_once
    chose_epoch = record.state == "pruned" or (epoch_rule == BEST and has_choice)
    return (TRIAL,) * is_searched + (EPOCH,) * chose_epoch


def joined(*chosen: str) -> str:
    """Return what labels chose as a column holds it: the words, "" for nothing."""
    return ", ".join(each for each in chosen if each)


def in_words(chosen: str) -> str:
    """Return a column's value as tables for readers have it."""
    return chosen or "nothing: one-class"

"""The errors of a committed fold as its compositions read them.

Of the model and of the samples, relative to the records' own where the settings say so,
and with the validation samples of all folds where they are fitted on these.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from study.config.components import available_components
from study.config.trial_config import TrialConfig
from study.ledger import fold_files
from study.ledger.ledger import MODEL, FoldManifest, Ledger
from study.scores.components import FoldErrors, SplitErrors
from study.scores.reference import Located, relative_errors
from study.scores.settings import ScoreSettings


def needs_all_folds(scores: ScoreSettings) -> bool:
    """Return whether a fold's compositions read the errors of the trial's other folds."""
    return scores.fit_on == "all_folds"


def read_fold_errors(
    ledger: Ledger,
    manifest: FoldManifest,
    config: TrialConfig,
    all_folds: Sequence[FoldManifest] = (),
) -> dict[str, FoldErrors]:
    """Return a fold's errors by epoch rule.

    Args:
        ledger: where the fold is.
        manifest: its commit.
        config: the trial's configuration.
        all_folds: the commits of all folds of the trial, if `needs_all_folds`.

    Raises:
        DamagedError: a file is not what was committed.
    """
    own = read_own_errors(ledger, manifest, config)
    return with_all_folds(own, ledger, manifest, config, all_folds)


def with_all_folds(
    own: Mapping[str, FoldErrors],
    ledger: Ledger,
    manifest: FoldManifest,
    config: TrialConfig,
    all_folds: Sequence[FoldManifest],
) -> dict[str, FoldErrors]:
    """Return `read_fold_errors` of a fold whose own errors have been read."""
    if not needs_all_folds(config.scores):
        return dict(own)
    others = {
        each.fold: read_own_errors(ledger, each, config)
        for each in all_folds
        if each.fold != manifest.fold
    }
    in_order = [each for _, each in sorted({**others, manifest.fold: own}.items())]
    return {
        rule: replace(errors, validation=_joined([each[rule].validation for each in in_order]))
        for rule, errors in own.items()
    }


def read_own_errors(
    ledger: Ledger, manifest: FoldManifest, config: TrialConfig
) -> dict[str, FoldErrors]:
    """Return a fold's errors by epoch rule, with its own validation samples alone.

    Raises:
        DamagedError: a file is not what was committed.
    """
    components = available_components(config.model, config.dataset)
    latent_size = fold_files.read_json(ledger, manifest, MODEL)["latent_size"]
    with_patients = config.scores.quantile_of == "held_out_patients"
    by_rule = fold_files.read_errors(
        ledger, manifest, components, latent_size, with_patients=with_patients
    )
    if config.scores.reference == "none":
        return by_rule
    moments = fold_files.read_moments(ledger, manifest)
    relative = {}
    for rule, errors in by_rule.items():
        trained = Located(errors.training, moments["training"])
        relative[rule] = replace(
            errors,
            training=relative_errors(trained, config.scores, None),
            validation=relative_errors(
                Located(errors.validation, moments["validation"]), config.scores, trained
            ),
            test=relative_errors(Located(errors.test, moments["test"]), config.scores, trained),
        )
    return relative


def _joined(parts: Sequence[SplitErrors]) -> SplitErrors:
    patients = [part.patient for part in parts if part.patient is not None]
    return SplitErrors(
        label=np.concatenate([part.label for part in parts]),
        values={
            name: np.concatenate([part.values[name] for part in parts]) for name in parts[0].values
        },
        patient=np.concatenate(patients) if patients else None,
    )

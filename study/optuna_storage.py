"""`python -m study.optuna_storage RESULTS`: a search as Optuna's own storage.

For what reads one, such as optuna-dashboard. It is made from the ledger, and nothing reads
it back: it can be deleted and made again at any time.
"""

import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from study.errors import RequestError, StudyFailedError
from study.terminal.command import Command

if TYPE_CHECKING:
    from study.config.schema import Study

EXAMPLE = """\b
Example:
  python -m study.optuna_storage results/wafer
  optuna-dashboard sqlite:///wafer.sqlite3"""

app = Command("Write a search's trials as an Optuna storage (SQLite).")


@app.command(epilog=EXAMPLE)
def export(
    results: Annotated[str, typer.Argument(help="a study's folder, e.g. results/wafer")],
    file: Annotated[
        Path | None, typer.Argument(help="SQLite file; else STUDY.sqlite3 in this folder")
    ] = None,
) -> None:
    """Write the trials of RESULTS to FILE, in place of what is there."""
    from study.ledger.ledger import Ledger
    from study.ledger.study_folder import read_study
    from study.storage.folder import reach_folder

    folder = reach_folder(results)
    study = read_study(folder)
    records = [r for r in Ledger.of(folder).trials() if not r.trial.is_repetition]
    if not records:
        raise StudyFailedError(f"{folder.locate('ledger')}: no trial has ended yet")
    path = file or Path(f"{study.name}.sqlite3")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise RequestError(f"{path}: must be a file in a folder that exists")
    write_storage(study, records, path)
    sys.stdout.write(f"{path}: {len(records)} trial(s) of {study.name}\n")


def write_storage(study: "Study", records: Any, path: Path) -> None:
    """Write ended trials as an Optuna study of the same name; a complete file replaces the old.

    Trials keep their numbers; one that has not ended waits. Stopped ones are pruned with the
    values they had reached. Every value after an epoch is an intermediate value.

    Args:
        study: the study.
        records: its `TrialRecord`s, by number.
        path: the SQLite file.
    """
    import optuna
    from optuna.trial import TrialState

    from study.search.proposals import frozen_trial
    from study.search.sources import trial_source
    from study.storage.durable import replacing

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with replacing([path]) as (draft,):
        # Not by a URL, in which a path may mean something else.
        connect = {"creator": lambda: sqlite3.connect(draft)}
        storage = optuna.storages.RDBStorage("sqlite://", engine_kwargs=connect)
        try:
            written = optuna.create_study(
                study_name=study.name, storage=storage, direction="maximize"
            )
            metric = study.search.metric
            written.set_user_attr("metric", f"{metric.score} of {metric.composition}")
            space = trial_source(study).space
            for record in records:
                while len(written.trials) < record.trial.number:
                    written.add_trial(optuna.trial.create_trial(state=TrialState.WAITING))
                trial = frozen_trial(record, space)
                trial.set_user_attr("trial", record.name)
                if record.reason:
                    trial.set_user_attr("reason", record.reason)
                written.add_trial(trial)
        finally:
            storage.remove_session()
            storage.engine.dispose()


if __name__ == "__main__":
    sys.exit(app.main())

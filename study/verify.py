"""`python -m study.verify RESULTS`: whether results are what their ledger and their code make."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from study.errors import RequestError, StudyFailedError
from study.terminal.command import Command

if TYPE_CHECKING:
    from study.config.schema import Study
    from study.data.splits import Splits
    from study.data.variants import Variants
    from study.ledger.study_folder import SplitFacts
    from study.storage.folder import Folder

EXAMPLES = """\b
Examples:
  python -m study.verify results/wafer
  python -m study.verify results/wafer --train 3"""

app = Command("Check a study's files, derive its tables again, and train folds again.")


@app.command(epilog=EXAMPLES)
def verify(
    results: Annotated[str, typer.Argument(help="a study's folder, e.g. results/quickstart")],
    train: Annotated[
        int, typer.Option(metavar="N", min=0, help="folds to train again, evenly chosen")
    ] = 0,
    data: Annotated[
        str | None,
        typer.Option(help="with --train: data folder; else STUDY_DATA_DIR, else a cache folder"),
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            min=0,
            max=1,
            help="share by which numbers may differ, for another kind of processor",
        ),
    ] = 0.0,
) -> None:
    """Check RESULTS; end with 1 and the first file, row and column that is not what it should be.

    RESULTS is only read.
    """
    from study.ledger.study_folder import read_study, stored_split_facts
    from study.storage.folder import reach_folder

    folder = reach_folder(results)
    study = read_study(folder)
    facts = stored_split_facts(folder, study)
    loaded = _loaded(study, folder, data) if train else None
    _check_ledger(folder)
    _check_tables(study, folder, facts, tolerance)
    if loaded:
        _check_training(folder, *loaded, train, tolerance)


def _check_ledger(results: "Folder") -> None:
    from study.ledger.ledger import Ledger
    from study.ledger.verification import damages

    ledger = Ledger.of(results)
    for damage in damages(ledger):
        raise StudyFailedError(damage)
    ended = ledger.trials()
    if not ended:
        raise StudyFailedError(f"{ledger.folder.locate()}: no trial has ended yet")
    folds = sum(len(ledger.committed(name)) for name in ledger.names())
    _write_line("ledger", f"{len(ended)} trial(s), {folds} fold(s), every file as it was committed")


def _check_tables(
    study: "Study", results: "Folder", facts: Mapping[str, "SplitFacts"], tolerance: float
) -> None:
    from study.report.again import splits_difference, table_differences

    if difference := splits_difference(results, facts):
        raise StudyFailedError(difference)
    _write_line("splits", f"{', '.join(facts)}: as in study.yaml")
    count = 0
    for name, difference in table_differences(study, facts, results, tolerance):
        if difference:
            raise StudyFailedError(f"{results.locate(name)}: {difference}")
        count += 1
    _write_line("tables", f"{count} derived again, equal")


def _loaded(
    study: "Study", results: "Folder", data: str | None
) -> "tuple[Variants, dict[str, Splits]]":
    """Return the study's samples, in each variant that trials have, and its folds.

    Raises:
        RequestError: they are not there, or not those that it was trained on.
    """
    from study.data import data_folder
    from study.data.splits import splits_by_protocol
    from study.ledger.study_folder import stored_samples_hash
    from study.training.prepared import samples_of_study

    try:
        variants = samples_of_study(study, data_folder(data))
    except RequestError as error:
        raise RequestError(
            f"--train needs the study's data, whose folder --data names: {error.args[0]}"
        ) from None
    for dataset, samples in zip(variants.settings, variants.samples, strict=True):
        expected = stored_samples_hash(study, dataset)
        if samples.content_hash != expected:
            raise RequestError(
                f"{results.locate('study.yaml')}: samples_hash is {expected} there and"
                f" {samples.content_hash} here: the data are others, leave --train out"
            )
    return variants, splits_by_protocol(variants.samples[0], study.split, study.seed)


def _check_training(
    results: "Folder",
    variants: "Variants",
    splits: "dict[str, Splits]",
    count: int,
    tolerance: float,
) -> None:
    import tempfile
    from pathlib import Path

    from study.ledger.ledger import Ledger
    from study.storage.folder import LocalFolder
    from study.training.again import spread, trained_again

    ledger = Ledger.of(results)
    for record, address in spread(ledger.trials(), count):
        with tempfile.TemporaryDirectory(prefix="study-again-") as scratch:
            difference = trained_again(
                ledger, record, address, variants, splits, LocalFolder(Path(scratch)), tolerance
            )
        if difference:
            raise StudyFailedError(difference)
        _write_line("training", f"{address.path} trained again, equal")


def _write_line(part: str, line: str) -> None:
    sys.stdout.write(f"{part:>10}  {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(app.main())

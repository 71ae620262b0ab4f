"""`python -m study.data fetch|check|describe DATASET`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from study.data import DATASETS, data_folder, dataset
from study.data.settings import DatasetSettings
from study.errors import RequestError, StudyFailedError

app = typer.Typer(
    help="Downloads, verifies and describes datasets.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

DatasetName = Annotated[
    str, typer.Argument(metavar="DATASET", help=f"One of {', '.join(DATASETS)}.")
]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data", metavar="DIR", help="Data folder [STUDY_DATA_DIR, else a cache folder of yours]."
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting of the dataset, as YAML."),
]


@app.command()
def fetch(
    name: DatasetName,
    data: DataOption = None,
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="Fetch from here instead.")
    ] = None,
) -> None:
    """Download a dataset, verified; continues where it stopped, fetches nothing twice."""
    with _exit_codes():
        with _progress() as progress:
            lines = dataset(name).function("fetch")(data_folder(data), url, progress)
        _write(lines)


@app.command()
def check(name: DatasetName, data: DataOption = None, set_: SetOption = None) -> None:
    """Verify a dataset's files on disk."""
    with _exit_codes():
        settings = _settings(name, set_ or [])
        _write(dataset(name).function("check")(settings, data_folder(data)))


@app.command()
def describe(
    name: DatasetName,
    data: DataOption = None,
    set_: SetOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of generated data and limits.")] = 0,
) -> None:
    """Print a dataset's shape and its samples by label, kind, side and record."""
    import numpy as np

    from study.data import load

    with _exit_codes():
        samples = load(_settings(name, set_ or []), data_folder(data), seed)
        lines = [f"{name}: {DATASETS[name].description}"]
        lines.append(f"samples x channels x length: {' x '.join(map(str, samples.values.shape))}")
        lines.append(f"content hash: {samples.content_hash}")
        for title in ("label", "kind", "symbol", "side", "record"):
            found, counts = np.unique(getattr(samples, title), return_counts=True)
            if list(found) != [""]:
                pairs = zip(found, counts, strict=True)
                lines.append(f"by {title}: " + ", ".join(f"{k} {count:,}" for k, count in pairs))
        _write(lines)


def _settings(name: str, assignments: list[str]) -> DatasetSettings:
    """Return the settings of a dataset with `key=value` applied.

    Raises:
        RequestError: an assignment has no such form, or a key or value is wrong.
    """
    import yaml
    from pydantic import ValidationError

    values: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise RequestError(f"--set {assignment}: expected KEY=VALUE, found no '=': add it")
        try:
            values[key.strip()] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise RequestError(f"--set {assignment}: expected a YAML value: correct it") from error
    chosen = dataset(name).settings
    try:
        return chosen(**{"name": name} | values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        found = "nothing" if first["type"] == "missing" else repr(first["input"])
        raise RequestError(
            f"--set {key}: {first['msg']}, found {found}: the settings of {name} are "
            f"{', '.join(field for field in chosen.model_fields if field != 'name')}"
        ) from error


@contextmanager
def _exit_codes() -> Iterator[None]:
    """Turn errors into one line on standard error and their exit code."""
    try:
        yield
    except (RequestError, StudyFailedError) as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(2 if isinstance(error, RequestError) else 1) from error
    except KeyboardInterrupt as error:
        sys.stderr.write("interrupted: the same command continues\n")
        raise typer.Exit(130) from error


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar on standard error while files are fetched."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    # Where nobody watches, standard error is for the one line of an error.
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task("", total=None)

        def update(file: str, done: int, total: int) -> None:
            bar.update(task, description=file, completed=done, total=total)

        yield update


def _write(lines: list[str]) -> None:
    """Write lines as they are, so that scripts can read them."""
    for line in lines:
        typer.echo(line)


if __name__ == "__main__":
    app()

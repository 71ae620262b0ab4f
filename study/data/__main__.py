"""`python -m study.data fetch|check|describe DATASET`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from study.data import DATASETS, data_folder, dataset
from study.data.settings import DatasetSettings
from study.terminal.command import Command

app = Command("Download, verify and describe datasets.")

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
    source = dataset(name).fetch
    if isinstance(source, str):
        _write([source])
        return
    with _progress() as progress:
        lines = source(data_folder(data), url, progress)
    _write(lines)


@app.command()
def check(name: DatasetName, data: DataOption = None, set_: SetOption = None) -> None:
    """Verify a dataset's files on disk."""
    settings = _settings(name, set_ or [])
    _write(dataset(name).check(settings, data_folder(data)))


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

    samples = load(_settings(name, set_ or []), data_folder(data), seed)
    lines = [f"{name}: {DATASETS[name].description}"]
    lines.append(f"samples x channels x length: {' x '.join(map(str, samples.values.shape))}")
    lines.append(f"content hash: {samples.content_hash}")
    for title in ("label", "kind", "symbol", "side", "record"):
        values, counts = np.unique(getattr(samples, title), return_counts=True)
        if list(values) != [""]:
            pairs = zip(values, counts, strict=True)
            lines.append(f"by {title}: " + ", ".join(f"{k} {count:,}" for k, count in pairs))
    neighbours = int((samples.abnormal_neighbour & (samples.label == 0)).sum())
    if neighbours:
        lines.append(f"normals whose window holds an abnormal sample: {neighbours:,}")
    if samples.components:
        lines.append(f"components: {', '.join(samples.components)}")
    _write(lines)


def _settings(name: str, assignments: list[str]) -> DatasetSettings:
    """Return the settings of a dataset with `key=value` applied.

    Raises:
        RequestError: an assignment has no such form, or a key or value is wrong.
    """
    from study.config.study_file import check_study, read_assignment

    dataset(name)
    assigned = dict(read_assignment(f"dataset.{assignment}") for assignment in assignments)
    values = {key.removeprefix("dataset."): value for key, value in assigned.items()}
    # The least study that a dataset can be checked in.
    content = {"name": name, "dataset": {"name": name, **values}, "model": {"name": "beta_vaegan"}}
    return check_study(content, name, assigned).dataset


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
    sys.exit(app.main())

"""Which tables and figures a study has, what each is made from, and what it says of itself."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.figure import Figure

from study.ledger.fold_files import COMPONENTS, INTERPOLATION, RECONSTRUCTIONS, TRAINING_COMPONENTS
from study.report.paper import figures_of_norms as norms
from study.report.paper import figures_of_samples as samples
from study.report.paper import figures_of_training as training
from study.report.paper.basis import BEST, LAST, WEIGHTS, basis_of, footer
from study.report.paper.names import dataset_label, system_label
from study.report.paper.source import FOLD, Source
from study.report.paper.table_pictures import draw_table
from study.report.paper.tables import composition_table, system_table, tstr_table

PAPERS_MODEL = "vaegan_2"
DRAWN = {"drawn_latent_norm": "z drawn from its posterior", "latent_norm": "z as it is scored"}
"""Norms of training samples by column, the first that is there, and what they are of."""

Draw = Callable[[pa.Table, str, str], Figure]


@dataclass(frozen=True)
class Page:
    """A table or figure.

    Attributes:
        name: of its files, without ending.
        data: what is drawn.
        figure: the picture.
    """

    name: str
    data: pa.Table
    figure: Figure


def pages(source: Source) -> Iterator[Page]:
    """Yield the tables and figures that the study has what is needed for."""
    scores, summary = source.tables.scores, source.tables.summary
    for name, table in (
        ("table_4" if source.dataset == "wafer" else "table_1",
         tstr_table(source.tables.measures, source.dataset)),
        ("table_2", composition_table(scores, summary)),
        ("table_3", system_table(scores, summary)),
    ):  # fmt: skip
        if table.num_rows:
            shown = pc.unique(table["system"]).to_pylist()
            yield Page(name, table, draw_table(table, basis_of(scores, source.protocol, shown)))
    for make in (_errors, _reconstructions, _chi, _lambda, _spectral, _extremes, _latent, _norms):
        yield from make(source)


def _errors(source: Source) -> Iterator[Page]:
    found = source.files.read(PAPERS_MODEL, RECONSTRUCTIONS)
    data = None if found is None else samples.error_curves(found, source.length)
    title = f"Fig. 1: absolute error along a sample, {system_label(PAPERS_MODEL)}"
    if data is not None:
        text = _of_fold(source, [PAPERS_MODEL], WEIGHTS[BEST], _papers(source, "mitbih"))
        yield Page("figure_1", data, samples.draw_errors(data, title, text))


def _reconstructions(source: Source) -> Iterator[Page]:
    is_wafer = source.dataset == "wafer"
    for number, system in ((9 if is_wafer else 3, PAPERS_MODEL), (10, "beatgan")):
        found = source.files.read(system, RECONSTRUCTIONS)
        if found is not None:
            data = samples.reconstruction_curves(found, source.length)
            title = f"Fig. {number}: real and reconstructed samples, {system_label(system)}"
            papers = _papers(source, "mitbih" if number == 3 else "wafer")
            text = _of_fold(source, [system], WEIGHTS[BEST], papers)
            drawn = samples.draw_reconstructions(data, title, text)
            yield Page(f"figure_{number}", data, drawn)


def _chi(source: Source) -> Iterator[Page]:
    found, sizes, said = {}, {}, set()
    for system in norms.systems_of_chi(source.systems):
        # The prior is of draws from the posterior; its means have less spread.
        for column, note in DRAWN.items():
            table = source.files.read(system, TRAINING_COMPONENTS, ("epoch_rule", column))
            size = source.latent_size(system)
            if table is not None and size is not None:
                last = table.filter(pc.equal(table["epoch_rule"], LAST))
                found[system], sizes[system] = last[column].to_numpy(), size
                said.add(note)
                break
    data = norms.chi_histograms(found, sizes)
    if data is not None:
        notes = (WEIGHTS[LAST], *sorted(said), _papers(source, "mitbih"))
        text = _of_fold(source, list(found), *notes)
        title = "Fig. 4: latent norms of training samples and the χ distribution"
        yield Page("figure_4", data, norms.draw_chi(data, title, text))


def _lambda(source: Source) -> Iterator[Page]:
    data = training.optimal_lambda(source.tables.epochs, PAPERS_MODEL)
    title = f"Fig. 5: optimal λ over epochs, {system_label(PAPERS_MODEL)}"
    if data is not None:
        text = _footer(
            source, [PAPERS_MODEL], pc.unique(data["fold"]).to_pylist(), "fitted on validation",
            _papers(source, "mitbih"),
        )  # fmt: skip
        yield Page("figure_5", data, training.draw_lambda(data, title, text))


def _spectral(source: Source) -> Iterator[Page]:
    data = training.spectral_norm_scores(source.tables.epochs)
    title = f"Fig. 6: {system_label('beatgan_plus')} with and without spectral normalisation"
    yield from _over_epochs(
        source, "figure_6", data, training.draw_spectral_norm, title,
        "mean over folds, band of one deviation",
    )  # fmt: skip


def _extremes(source: Source) -> Iterator[Page]:
    data = training.latent_extremes(source.tables.epochs)
    title = "Fig. 7: extremes of the latent coordinates over epochs"
    yield from _over_epochs(
        source, "figure_7", data, training.draw_extremes, title, "mean over folds"
    )


def _latent(source: Source) -> Iterator[Page]:
    found = source.files.read(PAPERS_MODEL, INTERPOLATION)
    if found is not None:
        data = samples.interpolation_curves(found, source.length)
        notes = ("a row moves one latent coordinate from its place by what stands above",)
        text = _of_fold(source, [PAPERS_MODEL], WEIGHTS[BEST], *notes, _papers(source, "wafer"))
        title = f"Fig. 8: along the latent dimensions, {system_label(PAPERS_MODEL)}"
        yield Page("figure_8", data, samples.draw_interpolation(data, title, text))


def _norms(source: Source) -> Iterator[Page]:
    system, columns = "beatgan", ("epoch_rule", "latent_norm")
    trained = source.files.read(system, TRAINING_COMPONENTS, columns)
    scored = source.files.read(system, COMPONENTS, (*columns, "split", "label"))
    if trained is None or scored is None:
        return
    best = trained.filter(pc.equal(trained["epoch_rule"], BEST))
    validation = scored.filter(
        pc.and_(pc.equal(scored["epoch_rule"], BEST), pc.equal(scored["split"], "validation"))
    )
    data = norms.norm_histograms(
        best["latent_norm"].to_numpy(),
        validation["latent_norm"].to_numpy(),
        validation["label"].to_numpy(),
    )
    if data is not None:
        title = f"Fig. 11: latent norms, {system_label(system)}"
        text = _of_fold(source, [system], WEIGHTS[BEST])
        yield Page("figure_11", data, norms.draw_norms(data, title, text))


def _over_epochs(
    source: Source, name: str, data: pa.Table | None, draw: Draw, title: str, note: str
) -> Iterator[Page]:
    """Yield a figure of curves over epochs, if it has any."""
    if data is not None:
        text = _footer(source, pc.unique(data["system"]).to_pylist(), None, note)
        yield Page(name, data, draw(data, title, text))


def _of_fold(source: Source, systems: Sequence[str], *notes: str) -> str:
    return _footer(source, systems, (FOLD,), *notes)


def _footer(
    source: Source, systems: Sequence[str], folds: Sequence[int] | None, *notes: str
) -> str:
    return footer(basis_of(source.tables.scores, source.protocol, systems, folds), *notes)


def _papers(source: Source, dataset: str) -> str:
    """Say which dataset the paper's figure is of, where that is another."""
    return "" if source.dataset == dataset else f"the paper's figure: {dataset_label(dataset)}"

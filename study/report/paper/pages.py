"""The tables and figures that a study has: data, picture and footer of each."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.figure import Figure

from study.ledger.fold_files import (
    COMPONENTS,
    DRAWN_LATENT_NORM,
    INTERPOLATION,
    RECONSTRUCTIONS,
    TRAINING_COMPONENTS,
)
from study.report.drawn_fold import DRAWN_FOLD
from study.report.paper import figures_of_norms as norms
from study.report.paper import figures_of_samples as samples
from study.report.paper import figures_of_training as training
from study.report.paper.basis import BEST, LAST, WEIGHTS, basis_of, footer
from study.report.paper.inputs import PaperInputs
from study.report.paper.names import dataset_label, system_label
from study.report.paper.table_pictures import draw_table
from study.report.paper.tables import composition_table, system_table, tstr_table

PAPER_SYSTEM = "vaegan_2"
NORM_NOTES = {DRAWN_LATENT_NORM: "z drawn from its posterior", "latent_norm": "z as it is scored"}
"""Notes on norms of training samples by column; the first column that exists is drawn."""

LAMBDA_NOTE = (
    "λ weighs D, as equation A prints it; in the paper's reference code it weighs R, and its curve"
    " is 1 less this one"
)
"""What figure 5 says beside the curve, which mirrors that of the paper."""

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


def pages(inputs: PaperInputs) -> Iterator[Page]:
    """Yield the tables and figures that the study has the data of."""
    scores, summary = inputs.tables.scores, inputs.tables.summary
    for name, table in (
        ("table_4" if inputs.dataset == "wafer" else "table_1",
         tstr_table(inputs.tables.measures, inputs.dataset)),
        ("table_2", composition_table(scores, summary)),
        ("table_3", system_table(scores, summary)),
    ):  # fmt: skip
        if table.num_rows:
            shown = pc.unique(table["system"]).to_pylist()
            yield Page(name, table, draw_table(table, basis_of(scores, inputs.protocol, shown)))
    for make in (_errors, _reconstructions, _chi, _lambda, _spectral, _extremes, _latent, _norms):
        yield from make(inputs)


def _errors(inputs: PaperInputs) -> Iterator[Page]:
    table = inputs.read(PAPER_SYSTEM, RECONSTRUCTIONS)
    data = None if table is None else samples.error_curves(table, inputs.length)
    title = f"Fig. 1: absolute error along a sample, {system_label(PAPER_SYSTEM)}"
    if data is not None:
        text = _fold_footer(inputs, [PAPER_SYSTEM], WEIGHTS[BEST], _dataset_note(inputs, "mitbih"))
        yield Page("figure_1", data, samples.draw_errors(data, title, text))


def _reconstructions(inputs: PaperInputs) -> Iterator[Page]:
    is_wafer = inputs.dataset == "wafer"
    for number, system in ((9 if is_wafer else 3, PAPER_SYSTEM), (10, "beatgan")):
        table = inputs.read(system, RECONSTRUCTIONS)
        if table is not None:
            data = samples.reconstruction_curves(table, inputs.length)
            title = f"Fig. {number}: real and reconstructed samples, {system_label(system)}"
            dataset_note = _dataset_note(inputs, "mitbih" if number == 3 else "wafer")
            text = _fold_footer(inputs, [system], WEIGHTS[BEST], dataset_note)
            figure = samples.draw_reconstructions(data, title, text)
            yield Page(f"figure_{number}", data, figure)


def _chi(inputs: PaperInputs) -> Iterator[Page]:
    drawn_norms, sizes, used_notes = {}, {}, set()
    for system in norms.chi_systems(inputs.systems):
        # The prior is of draws from the posterior; its means have less spread.
        for column, note in NORM_NOTES.items():
            table = inputs.read(system, TRAINING_COMPONENTS, ("epoch_rule", column))
            size = inputs.latent_size(system)
            if table is not None and size is not None:
                last = table.filter(pc.equal(table["epoch_rule"], LAST))
                drawn_norms[system], sizes[system] = last[column].to_numpy(), size
                used_notes.add(note)
                break
    data = norms.chi_histograms(drawn_norms, sizes)
    if data is not None:
        notes = (WEIGHTS[LAST], *sorted(used_notes), _dataset_note(inputs, "mitbih"))
        text = _fold_footer(inputs, list(drawn_norms), *notes)
        title = "Fig. 4: latent norms of training samples and the χ distribution"
        yield Page("figure_4", data, norms.draw_chi(data, title, text))


def _lambda(inputs: PaperInputs) -> Iterator[Page]:
    data = training.optimal_lambda(inputs.tables.epochs, PAPER_SYSTEM)
    title = f"Fig. 5: optimal λ over epochs, {system_label(PAPER_SYSTEM)}"
    if data is not None:
        text = _footer(
            inputs, [PAPER_SYSTEM], pc.unique(data["fold"]).to_pylist(), "fitted on validation",
            LAMBDA_NOTE, _dataset_note(inputs, "mitbih"),
        )  # fmt: skip
        yield Page("figure_5", data, training.draw_lambda(data, title, text))


def _spectral(inputs: PaperInputs) -> Iterator[Page]:
    data = training.spectral_norm_scores(inputs.tables.epochs)
    title = f"Fig. 6: {system_label('beatgan_plus')} with and without spectral normalisation"
    yield from _over_epochs(
        inputs, "figure_6", data, training.draw_spectral_norm, title,
        "mean over folds, band of one deviation",
    )  # fmt: skip


def _extremes(inputs: PaperInputs) -> Iterator[Page]:
    data = training.latent_extremes(inputs.tables.epochs)
    title = "Fig. 7: extremes of the latent coordinates over epochs"
    yield from _over_epochs(
        inputs, "figure_7", data, training.draw_extremes, title, "mean over folds"
    )


def _latent(inputs: PaperInputs) -> Iterator[Page]:
    table = inputs.read(PAPER_SYSTEM, INTERPOLATION)
    if table is not None:
        data = samples.interpolation_curves(table, inputs.length)
        notes = ("a row moves one latent coordinate from its place by what stands above",)
        text = _fold_footer(
            inputs, [PAPER_SYSTEM], WEIGHTS[BEST], *notes, _dataset_note(inputs, "wafer")
        )
        title = f"Fig. 8: along the latent dimensions, {system_label(PAPER_SYSTEM)}"
        yield Page("figure_8", data, samples.draw_interpolation(data, title, text))


def _norms(inputs: PaperInputs) -> Iterator[Page]:
    system, columns = "beatgan", ("epoch_rule", "latent_norm")
    trained = inputs.read(system, TRAINING_COMPONENTS, columns)
    scored = inputs.read(system, COMPONENTS, (*columns, "split", "label"))
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
        text = _fold_footer(inputs, [system], WEIGHTS[BEST])
        yield Page("figure_11", data, norms.draw_norms(data, title, text))


def _over_epochs(
    inputs: PaperInputs, name: str, data: pa.Table | None, draw: Draw, title: str, note: str
) -> Iterator[Page]:
    """Yield a figure of curves over epochs, if it has any."""
    if data is not None:
        text = _footer(inputs, pc.unique(data["system"]).to_pylist(), None, note)
        yield Page(name, data, draw(data, title, text))


def _fold_footer(inputs: PaperInputs, systems: Sequence[str], *notes: str) -> str:
    return _footer(inputs, systems, (DRAWN_FOLD,), *notes)


def _footer(
    inputs: PaperInputs, systems: Sequence[str], folds: Sequence[int] | None, *notes: str
) -> str:
    return footer(basis_of(inputs.tables.scores, inputs.protocol, systems, folds), *notes)


def _dataset_note(inputs: PaperInputs, dataset: str) -> str:
    """Return a note on the dataset of the paper's figure, where that is another."""
    return "" if inputs.dataset == dataset else f"the paper's figure: {dataset_label(dataset)}"

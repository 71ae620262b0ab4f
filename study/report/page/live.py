"""The page while a study runs: of the ledger alone, before anything is scored."""

from markupsafe import Markup

from study.ledger.answer import best_record
from study.ledger.view import LedgerState
from study.report.page.bookkeeping import endings_section, reproduction_section
from study.report.page.build import PAGE, page_facts
from study.report.page.charts import page_style
from study.report.page.inputs import PageInputs, metric_label
from study.report.page.parts import Picture, Section, shown_value, with_noun
from study.report.page.render import Live, render
from study.report.page.search import search_sections
from study.report.page.training import trial_curves
from study.report.page.trials import trials_section
from study.report.search_history import rungs_table
from study.search.sources import trial_source
from study.storage.folder import Folder


def render_live(state: LedgerState, results: Folder, events: str) -> str:
    """Return the page of a study that runs.

    Compositions are fitted when the study ends: here is the metric on validation, which the
    search itself looks at.

    Args:
        state: of the ledger.
        results: the study's results folder.
        events: where the server sends its events from, from the page's own address.
    """
    rungs = rungs_table(state.decisions, state.study.search, state.study.split.folds)
    tables = {"rungs": rungs} if rungs.num_rows else {}
    inputs = PageInputs(state.study, state.ended, tables, results)
    with page_style():
        curves = trial_curves(inputs)
        sections = [
            _standing(inputs, state),
            trials_section(inputs, state.running),
            *search_sections(inputs),
            *([_curves(curves)] if curves else []),
            endings_section(inputs),
            reproduction_section(inputs),
        ]
    return render(state.study.name, page_facts(inputs), sections, Live(events, state.version))


def news_line(state: LedgerState) -> str:
    """Return in a line how far the study is."""
    ended = f"{len(state.ended):,} of {with_noun(trial_source(state.study).size, 'trial')} ended"
    return f"{ended}, {len(state.running):,} running"


def _standing(inputs: PageInputs, state: LedgerState) -> Section:
    best = best_record(state.study, [r for r in state.ended if r.state == "completed"])
    title, lede = news_line(state), ""
    if best is not None:
        metric = metric_label(best.trial.config.metric)
        is_error = not best.trial.config.metric.reads_labels
        value = shown_value(best.best_value, is_error=is_error)
        title = f"{best.name} is best so far: {metric} {value} on validation"
        lede = f"{news_line(state).capitalize()}."
    notes = [f"Damaged: {line}" for line in state.damaged]
    if inputs.results.exists(PAGE):
        notes.append(
            Markup('<a href="{}">The report</a> of these results was made when a run ended.')
            .format(PAGE)
        )  # fmt: skip
    return Section(
        "answer", title,
        "This page is made of the ledger while the study runs, and changes with it. Scores on "
        "test, and the other compositions, are in the report that is made when the study ends.",
        notes=notes, lede=lede,
    )  # fmt: skip


def _curves(picture: Picture) -> Section:
    return Section(
        "learning", "Learning curves",
        "Each line is a trial that has ended; a dot is where one was stopped.",
        pictures=[picture],
    )  # fmt: skip

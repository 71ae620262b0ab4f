"""Which error components the samples of a study have, and whether its scores can use them."""

from collections.abc import Iterator, Mapping

from models import MODELS, components_of
from models.settings import ModelSettings
from study.config.error_messages import nearest
from study.config.schema import MetricSettings, Study
from study.config.variants import variants
from study.data import DATASETS
from study.data.settings import DatasetSettings
from study.data.splits import ONE_TEST_SET
from study.scores.compositions import COMPOSITIONS
from study.scores.rules import applicable, compositions_of
from study.scores.settings import ScoreSettings


def available_components(model: ModelSettings, dataset: DatasetSettings) -> tuple[str, ...]:
    """Return the components of every sample: the model's, then those that samples come with."""
    return (*components_of(model), *dataset.component_names)


def score_problems(study: Study) -> Iterator[str]:
    """Yield an error message for each setting of scores that this study cannot have."""
    sets = [
        set(available_components(model, dataset))
        for model in _models(study)
        for dataset in _datasets(study)
    ]
    for name, own in study.scores.compositions.items():
        key = f"scores.compositions.{name}"
        if name in COMPOSITIONS:
            yield f"{key}: is a composition of the program; choose another name"
        missing = [set(own.components) - available for available in sets]
        if all(missing):
            known = sorted(set().union(*sets))
            wrong = min((sorted(names) for names in missing), key=len)
            yield (
                f"{key}.components: {', '.join(wrong)} is none that the study's samples have"
                f"{nearest(wrong[0], known)}; they have {', '.join(known)}"
            )
    known_names = compositions_of(study.scores)
    for name in study.measures.tracked:
        if name not in known_names:
            yield f"measures.tracked: {_unknown(name, known_names)}"
    yield from _impossible_fits(study)


def _models(study: Study) -> list[ModelSettings]:
    """Return the models of a study: its systems', or its own and those that are searched."""
    names = [name for name in study.model_names if name in MODELS and name != study.model.name]
    others = [MODELS[name].settings() for name in names]
    return [system.model for system in study.systems.values()] or [study.model, *others]


def _datasets(study: Study) -> list[DatasetSettings]:
    """Return the datasets that trials may have; the study's own where they are wrong."""
    try:
        return [each.dataset for each in variants(study)]
    except ValueError:
        return [study.dataset]


def metric_problems(
    metric: MetricSettings, model: ModelSettings, dataset: DatasetSettings, scores: ScoreSettings
) -> Iterator[str]:
    """Yield an error message if the metric's composition is unknown or cannot be fitted."""
    known = compositions_of(scores)
    name, components = metric.composition, available_components(model, dataset)
    if name not in known:
        yield f"search.metric.composition: {_unknown(name, known)}"
        return
    missing = set(known[name].components) - set(components)
    if missing:
        yield (
            f"search.metric.composition: {name} needs {', '.join(sorted(missing))}, which"
            f" {model.name} does not have; it allows {', '.join(applicable(components, scores))}"
        )


def _impossible_fits(study: Study) -> Iterator[str]:
    scores, protocols, dataset = study.scores, study.split.protocols, study.dataset.name
    if scores.reference != "none" and DATASETS[dataset].record_rate_hz is None:
        yield (
            f"scores.reference: {scores.reference} needs samples of records, those of {dataset}"
            " are of none; remove it"
        )
    mixed = [protocol for protocol in protocols if protocol not in ONE_TEST_SET]
    if scores.fit_on == "all_folds" and mixed:
        yield (
            f"scores.fit_on: all_folds needs protocol {' or '.join(sorted(ONE_TEST_SET))}: under"
            f" {mixed[0]} another fold's validation holds this one's test samples"
        )
    if scores.quantile_of == "held_out_patients" and set(protocols) != {"inter_patient"}:
        yield (
            "scores.quantile_of: held_out_patients needs protocol inter_patient alone: under"
            " another, patients of validation have trained"
        )


def _unknown(name: str, known: Mapping[str, object]) -> str:
    return f"must be one of {', '.join(known)}, found {name!r}{nearest(name, known)}"

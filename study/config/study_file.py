"""Reading a study file, with overrides, into a checked `Study`, and writing it back."""

import importlib.resources
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from models import MODELS
from study.config.comparisons import ComparisonSettings
from study.config.components import score_problems
from study.config.dotted_keys import assign, flatten, inner
from study.config.error_messages import nearest, problems_of, shown
from study.config.known_settings import enqueue_problems
from study.config.schema import Study
from study.config.search_checks import SPACE, search_problems
from study.config.systems import resolve_systems, with_model_defaults
from study.errors import RequestError


class _StrictLoader(yaml.SafeLoader):
    """YAML without silent duplicates and without aliases."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*) are not allowed")
        if getattr(self.peek_event(), "tag", None):  # type: ignore[no-untyped-call]
            raise yaml.YAMLError("tags (!) are not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | bool):
                raise yaml.YAMLError(f"line {key_node.start_mark.line + 1}: keys are plain names")
            if key in seen:
                line = key_node.start_mark.line + 1
                raise yaml.YAMLError(f"line {line}: duplicate key {key!r}")
            seen.add(key)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


def shipped_studies() -> dict[str, Path]:
    """Return the studies that come with the program, by name."""
    folder = Path(str(importlib.resources.files("search_spaces")))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_study(request: str, overrides: Sequence[str] = (), seed: int | None = None) -> Study:
    """Read, override and check a study.

    Args:
        request: the name of a shipped study, or the path of a YAML file.
        overrides: `key.path=value` each, the value written as YAML.
        seed: replaces the file's seed.

    Raises:
        RequestError: anything is wrong; the message names file, key, value and what
            is allowed.
    """
    path = locate_study(request)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path}: cannot be read as text ({type(error).__name__})") from None
    content = parse_yaml(text, str(path))
    if not isinstance(content, dict):
        raise RequestError(f"{path}: must hold keys and values, found {shown(content)}")
    assignments = dict(read_assignment(override) for override in overrides)
    if seed is not None:
        assignments["seed"] = seed
    for key, value in assignments.items():
        _override(content, key, value)
    return check_study(content, str(path), assignments)


def check_study(
    content: Mapping[str, Any], source: str, assignments: Mapping[str, Any] | None = None
) -> Study:
    """Return the checked study of `content`; errors name `source` or the assignment."""
    assignments = assignments or {}
    content = _without_parallel(content, source)
    content = resolve_systems(content, source)
    training = with_model_defaults(content.get("model"), content.get("training"))
    if training is not None:
        content["training"] = training
    try:
        study = Study.model_validate(content)
    except ValidationError as error:
        raise RequestError(*problems_of(error, source, assignments)) from None
    problems = dict.fromkeys((*score_problems(study), *_contradictions(study, assignments)))
    if problems:
        is_set = [problem.partition(":")[0] in assignments for problem in problems]
        raise RequestError(
            *(
                f"--set {problem}" if assigned else f"{source}: {problem}"
                for problem, assigned in zip(problems, is_set, strict=True)
            )
        )
    return study


def _without_parallel(content: Mapping[str, Any], source: str) -> Mapping[str, Any]:
    """Return a stored study without `search.parallel`, which studies had; refuse a new one's."""
    search = content.get("search")
    if not isinstance(search, Mapping) or "parallel" not in search:
        return content
    if "provenance" not in content:
        raise RequestError(
            f"{source}: search.parallel: is no setting any more: a trial is proposed as soon as it"
            " can start; resources.max_concurrent_trials bounds how many run"
        )
    return {**content, "search": {key: search[key] for key in search if key != "parallel"}}


def dump_study(study: Study) -> dict[str, Any]:
    """Return the study as plain values that `check_study` reads back as it was."""
    content = study.model_dump(mode="json", by_alias=True)
    space = {
        key: {form: value for form, value in forms.items() if value is not None}
        for key, forms in content["search"]["space"].items()
    }
    content["search"]["space"] = space
    if content["provenance"] is None:
        del content["provenance"]
    return content


def to_yaml(content: Mapping[str, Any]) -> str:
    """Return `content` as YAML in its own order."""
    return yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=False)


def locate_study(request: str) -> Path:
    """Return the file of a shipped study, by name, or the path of a YAML file.

    Raises:
        RequestError: there is none.
    """
    shipped = shipped_studies()
    if request in shipped:
        return shipped[request]
    path = Path(request)
    if path.suffix in (".yaml", ".yml"):
        if os.path.isfile(path):  # noqa: PTH113 - false for a name that no file can have
            return path
        raise RequestError(f"study file {shown(request)} does not exist")
    near = nearest(request, shipped)
    raise RequestError(
        f"study {shown(request)} is not known{near}; it is one of {', '.join(shipped)}"
        " or the path of a .yaml file"
    )


def parse_yaml(text: str, source: str) -> Any:
    """Return what YAML `text` holds; RequestError names `source` if it is not valid."""
    try:
        return yaml.load(text, _StrictLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or str(error) or type(error).__name__
        raise RequestError(
            f"{source}: not valid YAML: {where}{' '.join(problem.split())}"
        ) from None


def read_assignment(override: str) -> tuple[str, Any]:
    """Return key and value of `key.path=value`, the value written as YAML."""
    key, equals, text = override.partition("=")
    key = key.strip()
    if not equals or not key or "" in key.split("."):
        raise RequestError(f"--set {override!r}: must be key.path=value")
    return key, parse_yaml(text, f"--set {override}")


def _override(content: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key; all that follows `search.space.` is one key.

    Null removes that one, and its values from what is tried first.
    """
    if not key.startswith(SPACE):
        assign(content, key, value)
        return
    search, key = inner(content, ("search",)), key.removeprefix(SPACE)
    space = inner(search, ("space",))
    if value is not None:
        space[key] = value
        return
    space.pop(key, None)
    enqueued = search.get("enqueue")
    for named in enqueued if isinstance(enqueued, list) else ():
        if isinstance(named, dict):
            named.pop(key, None)


def _contradictions(study: Study, assignments: Mapping[str, Any]) -> Iterator[str]:
    """Yield an error message for each pair of settings that contradict each other."""
    if study.systems:
        yield from _contradictions_in_systems(study)
        return
    if study.comparisons.named:
        yield "comparisons.named: pairs are of systems, and a search has none; remove it"
    yield from _too_many_folds(study)
    name, entry = study.model.name, MODELS[study.model.name]
    if entry.fitted_once and study.training.epochs != 1:
        yield (
            f"training.epochs: {name} is fitted once, so this must be 1 or left out,"
            f" found {study.training.epochs}"
        )
    problems = list(search_problems(study, flatten(assignments).keys()))
    yield from problems
    if not problems:
        yield from enqueue_problems(study)


def _too_many_folds(study: Study) -> Iterator[str]:
    """Yield an error message if a rung is to have more folds than the split."""
    stopping, folds = study.search.stopping, study.split.folds
    if stopping and stopping.folds and stopping.folds[-1] > folds:
        yield (
            f"search.stopping.folds: must be at most split.folds ({folds}) each, found"
            f" {list(stopping.folds)}"
        )


def _contradictions_in_systems(study: Study) -> Iterator[str]:
    """Yield the same of each system, and of what a study of systems cannot have."""
    alone = ("space", "stopping", "budget", "metrics", "enqueue", "learn_from", "confirm")
    for part in alone:
        if getattr(study.search, part):
            yield f"search.{part}: a study of systems searches nothing; remove it"
    for name, pairs in study.comparisons.named.items():
        for compared in itertools.chain.from_iterable(pairs):
            if compared not in study.systems:
                yield (
                    f"comparisons.named.{name}: {shown(compared)} is no system of this study"
                    f"{nearest(compared, study.systems)}; it has {', '.join(study.systems)}"
                )
    for name, system in study.systems.items():
        of_system = study.model_copy(
            update={
                "systems": {},
                "comparisons": ComparisonSettings(),
                "model": system.model,
                "training": system.training,
                "search": study.search.model_copy(update={"metric": system.metric}),
                "split": study.split.model_copy(update={"beside": None}),
            }
        )
        for problem in _contradictions(of_system, {}):
            yield f"systems.{name}: {problem}"

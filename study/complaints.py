"""What is wrong with a study file, in one line: key, what was found, what is allowed."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from models import MODELS
from study.definition import Study


def first_problem(error: ValidationError, source: str, assignments: Mapping[str, Any]) -> str:
    """Return one line on the first problem of `error`.

    Args:
        error: from checking a study.
        source: the file that the study is from.
        assignments: overrides by dotted key; a problem in one of them names it.
    """
    problems = error.errors(include_url=False)
    first = problems[0]
    path = [str(part) for part in first["loc"]]
    path = _without_tags(path)
    key = ".".join(path)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    said = f"{_problem(first, key, path)}{more}"
    if any(_covers(assigned, key) for assigned in assignments):
        return f"--set {said}"
    return f"{source}: {said}"


def _covers(set_key: str, key: str) -> bool:
    return key == set_key or key.startswith(f"{set_key}.") or set_key.startswith(f"{key}.")


def _problem(first: Any, key: str, path: list[str]) -> str:
    kind, found = first["type"], shown(first["input"])
    if kind == "extra_forbidden":
        fields = _fields_at(path[:-1])
        allowed = f"; allowed here: {', '.join(fields)}" if fields else ""
        return f"{key}: unknown key{nearest(path[-1], fields)}{allowed}"
    if kind == "missing":
        return f"{key}: is missing"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tags = first.get("ctx", {}).get("expected_tags", "").replace("'", "")
        name = first["input"].get("name") if isinstance(first["input"], Mapping) else None
        tag = nearest(str(name), tags.split(", ")) if name and tags else ""
        return f"{key}.name: must be one of {tags or ', '.join(MODELS)}, found {shown(name)}{tag}"
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if kind == "literal_error":
        expected = str(first["ctx"]["expected"]).replace("'", "")
        options = expected.replace(" or ", ", ").split(", ")
        return f"{key}: must be {expected}, found {found}{nearest(str(first['input']), options)}"
    if kind == "value_error":
        return f"{key}: {message}" if key else message
    return f"{key}: {message}, found {found}"


def _without_tags(path: list[str]) -> list[str]:
    """Drop what pydantic adds for the members of unions: `dataset.mitbih.length`."""
    kept: list[str] = []
    model: Any = Study
    for part in path:
        fields = _field_names(model)
        if fields and part not in fields and part in _tags(model):
            model = _tags(model)[part]
            continue
        if part in ("int", "float", "constrained-int", "constrained-float") or part.startswith(
            ("literal[", "[key]", "function-")
        ):
            continue
        kept.append(part)
        model = _step(model, part)
    return kept


def _fields_at(path: Sequence[str]) -> list[str]:
    model: Any = Study
    for part in path:
        model = _step(model, part)
    names: list[str] = []
    for member in _members(model):
        for name, field in member.model_fields.items():
            shown = field.alias or name
            if shown not in names:
                names.append(shown)
    return names


def _step(model: Any, part: str) -> Any:
    for member in _members(model):
        field = member.model_fields.get(part)
        if field is not None:
            return field.annotation
    return dict(enumerate(get_args(model))).get(1) if part not in _field_names(model) else None


def _members(annotation: Any) -> list[type[BaseModel]]:
    """Return the settings classes in an annotation, whether alone or in a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    found: list[type[BaseModel]] = []
    for argument in get_args(annotation):
        found += _members(argument)
    return found


def _field_names(annotation: Any) -> set[str]:
    return {name for member in _members(annotation) for name in member.model_fields}


def _tags(annotation: Any) -> dict[str, Any]:
    tags = {}
    for member in _members(annotation):
        if "name" in member.model_fields:
            for tag in get_args(member.model_fields["name"].annotation):
                tags[tag] = member
    return tags


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a question after the known name that is nearest to `word`, or ""."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def shown(value: Any) -> str:
    """Return `value` as it is shown in a message, shortened."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

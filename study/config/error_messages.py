"""What is wrong with a study file, a line each: key, value, and what is allowed."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from study.config.schema import Study


def problems_of(
    error: ValidationError, source: str, assignments: Mapping[str, Any]
) -> Iterator[str]:
    """Yield a line on each key that has a problem.

    Args:
        error: from checking a study.
        source: the file that the study is from.
        assignments: overrides by dotted key; a problem in one of them names it.
    """
    by_key: dict[str, list[Any]] = {}
    for problem in error.errors(include_url=False):
        path, _ = _without_tags([str(part) for part in problem["loc"]], problem["type"])
        by_key.setdefault(".".join(path), []).append(problem)
    for key, problems in by_key.items():
        first = problems[0]
        path, holder = _without_tags([str(part) for part in first["loc"]], first["type"])
        # Those of one key are the alternatives of a union.
        alternatives = [p["ctx"]["expected"] for p in problems[1:] if p["type"] == "literal_error"]
        also = f"; or {' or '.join(alternatives)}" if alternatives else ""
        message = f"{_problem(first, key, path, holder)}{also}"
        is_set = any(_covers(assigned, key) for assigned in assignments)
        yield " ".join((f"--set {message}" if is_set else f"{source}: {message}").split())


def first_problem(error: ValidationError) -> str:
    """Return the first problem of a study, without the file that it is from."""
    return next(problems_of(error, "", {})).removeprefix(": ")


def _covers(set_key: str, key: str) -> bool:
    return key == set_key or key.startswith(f"{set_key}.") or set_key.startswith(f"{key}.")


def _problem(first: Any, key: str, path: list[str], holder: Any) -> str:
    kind, value = first["type"], shown(first["input"])
    if kind == "extra_forbidden":
        fields = list(_field_annotations(holder))
        allowed = f"; allowed here: {', '.join(fields)}" if fields else ""
        return f"{key}: unknown key{nearest(path[-1], fields)}{allowed}"
    if kind == "missing":
        return f"{key}: is missing"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tags = ", ".join(_tags(_annotation(path)))
        name = first["input"].get("name") if isinstance(first["input"], Mapping) else None
        tag = nearest(str(name), tags.split(", ")) if name and tags else ""
        return f"{key}.name: must be one of {tags}, found {shown(name)}{tag}"
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if kind == "literal_error":
        expected = str(first["ctx"]["expected"]).replace("'", "")
        options = expected.replace(" or ", ", ").split(", ")
        return f"{key}: must be {expected}, found {value}{nearest(str(first['input']), options)}"
    if kind == "value_error":
        return f"{key}: {message}" if key else message
    return f"{key}: {message}, found {value}"


def _without_tags(path: list[str], problem: str) -> tuple[list[str], Any]:
    """Drop what pydantic adds for the members of unions: `dataset.mitbih.length`.

    Returns:
        The rest of the path, and the annotation that its last part stands in.
    """
    kept: list[str] = []
    model: Any = Study
    holder = model
    for depth, part in enumerate(path):
        holder = model
        fields, tags = _field_annotations(model), _tags(model)
        is_unknown = problem == "extra_forbidden" and depth == len(path) - 1
        if part in fields:
            model = fields[part]
        elif part in tags and not is_unknown:
            model = tags[part]
            continue
        elif get_origin(model) is dict and part != "[key]":
            model = get_args(model)[1]
        elif not is_unknown and not part.isdigit():
            continue
        kept.append(part)
    return kept, holder


def _annotation(path: Sequence[str]) -> Any:
    model: Any = Study
    for part in path:
        fields = _field_annotations(model)
        model = fields[part] if part in fields else dict(enumerate(get_args(model))).get(1)
    return model


def _field_annotations(annotation: Any) -> dict[str, Any]:
    """Return the annotation of every field, by its name in a study file."""
    return {
        field.alias or name: field.annotation
        for member in _members(annotation)
        for name, field in member.model_fields.items()
    }


def setting_keys(annotation: Any = Study) -> Iterator[str]:
    """Yield the dotted key of every setting that a study file may hold, or a prefix of it.

    Names of the file's own (searched settings, systems) are left out.
    """
    for name, inner in _field_annotations(annotation).items():
        yield name
        if get_origin(inner) is not dict:
            yield from (f"{name}.{key}" for key in setting_keys(inner))


def _members(annotation: Any) -> list[type[BaseModel]]:
    """Return the settings classes in an annotation, whether alone or in a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    members: list[type[BaseModel]] = []
    for argument in get_args(annotation):
        members += _members(argument)
    return members


def _tags(annotation: Any) -> dict[str, Any]:
    tags = {}
    for member in _members(annotation):
        if "name" in member.model_fields:
            for tag in get_args(member.model_fields["name"].annotation):
                tags[tag] = member
    return tags


def nearest(word: str, names: Iterable[str]) -> str:
    """Return `; did you mean ...?` with the name that is nearest to `word`, or ""."""
    matches = difflib.get_close_matches(word, list(names), n=1, cutoff=0.5)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def shown(value: Any) -> str:
    """Return `value` as it is shown in a message, shortened."""
    try:
        text = repr(value)
    except ValueError:  # more digits than Python writes
        text = "a very large number"
    return text if len(text) <= 60 else f"{text[:57]}..."

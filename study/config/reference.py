"""`python -m study.config.reference`: every setting of a study file, as Markdown.

Keys, ranges, defaults and descriptions stand in the settings' classes; `docs/settings.md` is the
output.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from study.config.schema import Study

Schema = Mapping[str, Any]

HEAD = """\
# Settings

Every key of a [study file](study_files.md), made from the classes that check it by
`python -m study.config.reference > docs/settings.md`. A key without a default must be set. How the
parts go together is in [study files](study_files.md), what models are in [models](models.md), what
compositions and thresholds are in [evaluation](evaluation.md).
"""
LEFT_OUT = ("provenance",)
"""What the program writes, and nobody sets."""

_TYPES = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "object": "keys and values",
    "array": "list",
    "null": "null",
}


def reference() -> str:
    """Return the page."""
    schema = Study.model_json_schema()
    page = _Page(schema["$defs"])
    plain: list[tuple[str, Schema]] = []
    parts: list[tuple[str, Schema]] = []
    for key, field in schema["properties"].items():
        if key not in LEFT_OUT:
            (parts if page.holds_classes(field) else plain).append((key, field))
    page.name_sections(parts)
    sections = [HEAD, *page.table([row for key, field in plain for row in page.rows(key, field)])]
    for key, field in parts:
        sections += page.section(key, field)
    return "\n".join(sections).rstrip() + "\n"


class _Page:
    """The tables of a schema's definitions."""

    def __init__(self, definitions: Schema) -> None:
        self._definitions = definitions
        self._shown: dict[str, str] = {}

    def members(self, field: Schema) -> dict[str, Schema]:
        """Return the classes of settings that a field may hold, by the name of each."""
        references = [field, *field.get("oneOf", ()), *field.get("anyOf", ())]
        names = [str(each["$ref"]).rpartition("/")[2] for each in references if "$ref" in each]
        return {name: self._definitions[name] for name in names}

    def holds_classes(self, field: Schema) -> bool:
        """Return whether a field holds settings with keys of their own, itself or by name."""
        return bool(self.members(field) or self.members(_by_name(field)))

    def name_sections(self, parts: Sequence[tuple[str, Schema]]) -> None:
        """Remember in which section each class stands, so that others point there."""
        for key, field in parts:
            self._shown |= dict.fromkeys(self.members(field), key)

    def section(self, key: str, field: Schema) -> Iterator[str]:
        """Yield a section of the page: a table of each class, what all have first."""
        members = self.members(field)
        yield f"\n## `{key}`\n"
        if not members:
            yield from self.table(list(self.rows(key, field)))
            return
        if len(members) == 1:
            (definition,) = members.values()
            yield f"{_first_line(definition)}\n"
            yield from self.table(list(self._rows_of(key, members)))
            return
        first, *others = (each["properties"] for each in members.values())
        common = [n for n in first if n != "name" and all(o.get(n) == first[n] for o in others)]
        if common:
            yield "All have:\n"
            yield from self.table(
                [row for name in common for row in self.rows(f"{key}.{name}", first[name])]
            )
        for definition in members.values():
            properties = definition["properties"]
            yield f"\n### `{key}.name: {properties['name']['const']}`\n"
            yield f"{_first_line(definition)}\n"
            own = [name for name in properties if name != "name" and name not in common]
            yield from self.table(
                [row for name in own for row in self.rows(f"{key}.{name}", properties[name])]
            )

    def rows(self, key: str, field: Schema) -> Iterator[str]:
        """Yield the row of a field, and those of the settings that it holds."""
        members = self.members(field)
        by_name = self.members(_by_name(field))
        if by_name:
            yield self._row(key, field, "keys and values by name")
            yield from self._rows_of(f"{key}.<name>", by_name)
        elif members and all(name in self._shown for name in members):
            yield self._row(key, field, f"as `{self._shown[next(iter(members))]}`")
        elif members:
            if field.get("description") or len(members) > 1:
                yield self._row(key, field, " or ".join(self._alternatives(field)))
            yield from self._rows_of(key, members)
        else:
            yield self._row(key, field, self._in_words(field))

    def table(self, rows: list[str]) -> Iterator[str]:
        """Yield the lines of a table; nothing without rows."""
        if rows:
            yield "| key | values | default | |"
            yield "| --- | --- | --- | --- |"
            yield from rows

    def _rows_of(self, key: str, members: Mapping[str, Schema]) -> Iterator[str]:
        for name, definition in members.items():
            self._shown[name] = key
            for inner, field in definition["properties"].items():
                if "const" not in field:
                    yield from self.rows(f"{key}.{inner}", field)

    def _alternatives(self, field: Schema) -> Iterator[str]:
        for definition in self.members(field).values():
            name = definition["properties"].get("name", {}).get("const")
            yield f"`{name}`" if name else "keys and values"
        for each in field.get("anyOf", ()):
            if "$ref" not in each:
                yield self._in_words(each)

    def _row(self, key: str, field: Schema, values: str) -> str:
        default = f"`{_plain(field['default'])}`" if "default" in field else ""
        if isinstance(field.get("default"), Mapping) and field["default"]:
            default = "as each key's"
        description = " ".join(str(field.get("description", "")).split())
        cells = (f"`{key}`", values, default, description)
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    def _in_words(self, field: Schema) -> str:
        if "anyOf" in field:
            return " or ".join(self._in_words(each) for each in field["anyOf"])
        if "enum" in field:
            return ", ".join(f"`{_plain(each)}`" for each in field["enum"])
        if "const" in field:
            return f"`{_plain(field['const'])}`"
        kind = _TYPES.get(str(field.get("type")), "anything")
        if field.get("type") == "array":
            items = field.get("prefixItems") or [field.get("items", {})]
            inner = ", ".join(dict.fromkeys(self._in_words(each) for each in items))
            kind = f"list of {inner}" if "prefixItems" not in field else f"{len(items)} of {inner}"
        return " ".join([kind, *_range(field)])


def _by_name(field: Schema) -> Schema:
    """Return the schema of values whose keys are names of the file's own."""
    patterns = list(field.get("patternProperties", {}).values())
    values = patterns[0] if patterns else field.get("additionalProperties")
    return values if isinstance(values, Mapping) else {}


def _range(field: Schema) -> Iterator[str]:
    """Yield the bounds of a value, in words."""
    for name, words in (
        ("minimum", "from {}"),
        ("exclusiveMinimum", "above {}"),
        ("maximum", "to {}"),
        ("exclusiveMaximum", "below {}"),
        ("multipleOf", "in steps of {}"),
        ("minItems", "at least {}"),
        ("pattern", "of the form `{}`"),
    ):
        if name in field and "prefixItems" not in field:
            value = field[name]
            shown = f"{value:,}" if isinstance(value, int) and value < 10**12 else _plain(value)
            yield words.format(shown)


def _plain(value: Any) -> str:
    """Return a value as YAML has it."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_plain, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_plain(each)}" for key, each in value.items()) + "}"
    return f"{value:g}" if isinstance(value, float) and value != int(value) else str(value)


def _first_line(definition: Schema) -> str:
    return str(definition.get("description", "")).partition("\n\n")[0].replace("\n", " ")


if __name__ == "__main__":
    sys.stdout.write(reference())

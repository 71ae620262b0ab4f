"""Settings by dotted key: `training.optimizer.name` for nested mappings."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel


def flatten(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by dotted key; lists stay values."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def by_dotted_key(settings: BaseModel, prefix: str = "") -> dict[str, Any]:
    """Return nested settings by dotted key, also those at a default that is not written down."""
    flat: dict[str, Any] = {}
    for name, field in type(settings).model_fields.items():
        key, value = f"{prefix}{field.alias or name}", getattr(settings, name)
        flat |= by_dotted_key(value, f"{key}.") if isinstance(value, BaseModel) else {key: value}
    return flat


def assign(content: dict[str, Any], key: str, value: Any) -> None:
    """Set one setting of nested settings."""
    *parents, last = key.split(".")
    inner(content, parents)[last] = value


def inner(content: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
    """Return the settings at a path; what is no mapping on the way becomes an empty one."""
    for part in path:
        if not isinstance(content.get(part), dict):
            content[part] = {}
        content = content[part]
    return content

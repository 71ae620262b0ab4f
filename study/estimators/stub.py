"""What editors and type checkers see of the detectors, written from the table of models.

`python -m study.estimators.stub > study/estimators/__init__.pyi` writes it.
"""

import json
import sys
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from models import MODELS
from models.settings import TrainingSettings
from study.estimators import DETECTORS
from study.estimators.model_detector import parameters_of

HEAD = """\
# Written by `python -m study.estimators.stub`; do not edit.
from collections.abc import Mapping
from typing import Any, Literal

from numpy.random import RandomState

from study.estimators.model_detector import ModelDetector as ModelDetector

DETECTORS: dict[str, type[ModelDetector]]
"""

OWN_TYPES = {
    "component": "str | None",
    "scaling": 'Literal["training", "sample", "none"]',
    "contamination": "float",
    "random_state": "int | RandomState | None",
}


def stub() -> str:
    """Return the text of `__init__.pyi`."""
    return "\n".join([HEAD, *(_class(name) for name in MODELS)])


def _class(name: str) -> str:
    parameters = "\n".join(f"        {line}," for line in _parameters(name))
    return (
        f"class {DETECTORS[name].__name__}(ModelDetector):\n"
        f'    """{MODELS[name].description}."""\n\n'
        f"    def __init__(\n        self,\n        *,\n{parameters}\n    ) -> None: ...\n"
    )


def _parameters(name: str) -> Iterator[str]:
    """Yield `name: type = default` of each parameter of a detector."""
    fields = {**TrainingSettings.model_fields, **MODELS[name].settings.model_fields}
    for parameter, default in parameters_of(name).items():
        own = OWN_TYPES.get(parameter)
        annotation = own or _annotation(fields[parameter].annotation)
        unsaid = default is None and own is None and "None" not in annotation
        optional = " | None" if unsaid else ""
        yield f"{parameter}: {annotation}{optional} = {_default(default)}"


def _annotation(annotation: Any) -> str:
    """Return a setting's type as it is written; settings inside settings are mappings."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _annotation(arguments[0])
    if origin in (Union, UnionType):
        return " | ".join(dict.fromkeys(_annotation(each) for each in arguments))
    if origin is Literal:
        return f"Literal[{', '.join(_default(value) for value in arguments)}]"
    if annotation is NoneType:
        return "None"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "Mapping[str, Any]"
    return annotation.__name__ if isinstance(annotation, type) else "Any"


def _default(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value)
    return repr(value) if isinstance(value, bool | int | float | None) else "..."


if __name__ == "__main__":
    sys.stdout.write(stub())

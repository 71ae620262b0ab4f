"""Requests made in this process, each of which must be refused before anything is done."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import study.cluster.connection
import study.run
from tests.commands import call

LEAST: dict[str, Any] = {
    "name": "mine",
    "dataset": {"name": "synthetic", "length": 32},
    "split": {"protocol": "paper", "folds": 2},
    "model": {"name": "beta_vaegan", "beta": 0.01, "latent_size": 3},
    "training": {"epochs": 2, "batch_size": 16, "optimizer": {"name": "adam"}},
    "scores": {"lambda_steps": 5},
    "search": {
        "trials": 2,
        "metric": {"composition": "reconstruction", "score": "auroc"},
        "space": {"model.nu": {"uniform": [0.5, 2.0]}},
        "stopping": {"grace_epochs": 1, "reduction": 2},
    },
    "resources": {"per_fold": {"cpu": 1}},
    "seed": 0,
}


class Request:
    """A command that was called here: what it answered, and whether it changed anything."""

    def __init__(self, app: Any, arguments: list[str], state: Callable[[], object]) -> None:
        before = state()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(study.cluster.connection, "connected", _no_ray)
            answer = call(app, *arguments)
        self.code, self.errors = answer.code, answer.errors
        self.is_untouched = before == state()

    def check(self, *words: str) -> None:
        """Check that it was refused, a line for each problem, with these words."""
        assert self.code == 2, (self.code, self.errors)
        assert self.errors.endswith("\n")
        assert all(self.errors.splitlines()), self.errors
        assert "Traceback" not in self.errors
        assert self.is_untouched
        for word in words:
            assert word in self.errors, (word, self.errors)


def _no_ray(*_: Any) -> Any:
    raise AssertionError("Ray was started")


def ask(workspace: Path, content: Any, *arguments: str) -> Request:
    """Ask for the plan of a study; what is right in spite of all then runs nothing."""
    path = workspace / "mine.yaml"
    text = content if isinstance(content, str) else yaml.safe_dump(content, allow_unicode=True)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return Request(study.run.app, [str(path), "--plan", *arguments], lambda: names(workspace))


def names(workspace: Path) -> list[Path]:
    """Return all that is there."""
    return sorted(workspace.rglob("*"))

"""Imports point one way: down the floors of the house; and Ray is imported in one room."""

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = (
    {"errors", "randomness", "settings"},
    {"models", "storage"},
    {"data", "scores"},
    {"config"},
    {"search"},
    {"ledger"},
    {"training"},
    {"detectors", "report"},
    {"cluster"},
    {"terminal"},
    {"commands"},
)
"""The rooms, from the ground up: a module imports its own room and lower floors, nothing else."""
COMMANDS = {
    f"study.{name}"
    for name in (
        "compare",
        "data.__main__",
        "driver",
        "estimators",
        "export",
        "init",
        "study_draft",
        "live_server",
        "optuna_storage",
        "pyod_detector",
        "report.__main__",
        "request",
        "run",
        "score",
        "verify",
        "watch",
    )
}
"""What people call: modules on the top floor, wherever their files lie."""
FORBIDDEN_IN_MODELS = {
    "study",
    "ray",
    "typer",
    "click",
    "argparse",
    "pathlib",
    "os",
    "shutil",
    "tempfile",
    "safetensors",
    "pyarrow",
    "pandas",
    "optuna",
}


def module_of(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


FILES = {
    module_of(path): path
    for package in ("models", "study")
    for path in sorted((ROOT / package).rglob("*.py"))
}
MODELS = [module for module in FILES if module.split(".")[0] == "models"]
STUDY = [module for module in FILES if module.split(".")[0] == "study"]


@functools.cache
def tree(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text())


@functools.cache
def imported(module: str) -> frozenset[str]:
    """Modules that a module imports, anywhere in it; of packages from outside the full name."""
    return frozenset(_imported(module))


def _imported(module: str) -> Iterator[str]:
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            assert node.module is not None
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & FILES.keys()
            yield from inner or {node.module}
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "__import__":
            yield from (str(a.value) for a in node.args if isinstance(a, ast.Constant))


def packages(module: str) -> set[str]:
    return {name.split(".")[0] for name in imported(module)}


def room_of(module: str) -> str:
    package, _, rest = module.partition(".")
    if package == "models":
        return package
    is_command = any(module == command or module.startswith(f"{command}.") for command in COMMANDS)
    return "commands" if is_command else rest.split(".")[0]


def floor_of(module: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room_of(module) in rooms)


def called(module: str) -> set[str]:
    calls = (node for node in ast.walk(tree(module)) if isinstance(node, ast.Call))
    return {ast.unparse(node.func) for node in calls}


@pytest.mark.parametrize("module", MODELS)
def test_models_know_nothing_of_the_study_the_cluster_and_files(module: str) -> None:
    assert not packages(module) & FORBIDDEN_IN_MODELS
    assert not called(module) & {"open", "torch.save", "torch.load", "print"}


@pytest.mark.parametrize("module", [m for m in FILES if m != "study"])
def test_no_import_runs_up_the_house_or_across_a_floor(module: str) -> None:
    own = [name for name in imported(module) if name in FILES and name != "study"]
    others = [name for name in own if room_of(name) != room_of(module)]
    assert [name for name in others if floor_of(name) >= floor_of(module)] == []


def test_every_room_is_on_a_floor_and_every_floor_is_inhabited() -> None:
    rooms = {room_of(module) for module in FILES if module != "study"}
    assert rooms == set().union(*FLOORS)


@pytest.mark.parametrize("module", FILES)
def test_only_the_room_of_the_cluster_imports_ray(module: str) -> None:
    assert "ray" not in packages(module) or room_of(module) == "cluster"


@pytest.mark.parametrize("module", FILES)
def test_rays_insides_are_used_in_one_file(module: str) -> None:
    inside = [name for name in imported(module) if name.startswith("ray.") and "._" in name]
    text = FILES[module].read_text()
    if module != "study.cluster.ray_internals":
        assert not inside
        assert "ray._private" not in text
        assert "_internal" not in text.replace("ray_internals", "")


@pytest.mark.parametrize("module", STUDY)
def test_no_part_of_the_study_imports_tests(module: str) -> None:
    assert not packages(module) & {"tests", "pytest", "hypothesis", "benchmarks"}


def modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import study.run",
        "import study.score",
        "import study.export",
        "import study.config.study_file",
        "import models",
        "from study.config.study_file import load_study; load_study('quickstart')",
        "sys.argv = ['run', 'mitbih', '--plan', '--output', '/nonexistent', '--cluster', "
        "'cluster.yaml', '--price', '1']; import study.run; assert study.run.app.main() == 0",
    ],
)
def test_a_request_is_checked_without_the_heavy_libraries(statement: str) -> None:
    heavy = {"torch", "ray", "sklearn", "optuna", "pandas", "matplotlib", "tensorboardX"}
    assert not modules_after(statement) & heavy


@pytest.mark.slow
@pytest.mark.parametrize("room", ["search", "ledger", "training", "report", "detectors"])
def test_a_room_below_the_cluster_loads_no_ray_and_no_command_line(room: str) -> None:
    own = [m for m in STUDY if room_of(m) == room]
    assert not modules_after(f"import {', '.join(own)}") & {"ray", "typer"}


def test_a_report_needs_no_pytorch_and_its_help_no_libraries() -> None:
    loaded = modules_after("import study.report.__main__; import study.report.build")
    assert not loaded & {"ray", "torch", "optuna", "matplotlib"}
    assert not modules_after("import study.report.__main__") & {"numpy", "pyarrow", "pydantic"}


def test_a_fold_is_trained_without_optuna() -> None:
    assert "optuna" not in modules_after("import study.training.fold")


def test_the_coordinator_needs_no_pytorch() -> None:
    loaded = modules_after("import study.cluster.coordinator, study.training.validation_report")
    assert "torch" not in loaded

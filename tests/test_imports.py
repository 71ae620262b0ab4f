"""Imports point one way: down the floors of the house; and Ray is imported in one room."""

import ast
import functools
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
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


def offenders(modules: Iterable[str], named_in: Callable[[str], set[str]]) -> dict[str, set[str]]:
    """Modules that name what they must not, with these names."""
    return {module: names for module in modules if (names := named_in(module))}


def test_models_know_nothing_of_the_study_the_cluster_and_files() -> None:
    assert offenders(MODELS, lambda m: packages(m) & FORBIDDEN_IN_MODELS) == {}
    calls = {"open", "torch.save", "torch.load", "print"}
    assert offenders(MODELS, lambda m: called(m) & calls) == {}


def test_no_import_runs_up_the_house_or_across_a_floor() -> None:
    def too_high(module: str) -> set[str]:
        own = {name for name in imported(module) if name in FILES and name != "study"}
        others = {name for name in own if room_of(name) != room_of(module)}
        return {name for name in others if floor_of(name) >= floor_of(module)}

    assert offenders([m for m in FILES if m != "study"], too_high) == {}


def test_every_room_is_on_a_floor_and_every_floor_is_inhabited() -> None:
    rooms = {room_of(module) for module in FILES if module != "study"}
    assert rooms == set().union(*FLOORS)


def test_only_the_room_of_the_cluster_imports_ray() -> None:
    outside = [module for module in FILES if room_of(module) != "cluster"]
    assert offenders(outside, lambda m: packages(m) & {"ray"}) == {}


def test_rays_insides_are_used_in_one_folder() -> None:
    def inside(module: str) -> set[str]:
        names = {name for name in imported(module) if name.startswith("ray.") and "._" in name}
        text = FILES[module].read_text().replace("ray_internals", "")
        return names | {word for word in ("ray._private", "_internal") if word in text}

    parts = ("core", "forked_workers", "private_cluster", "train")
    assert sorted(offenders(FILES, inside)) == [f"study.cluster.ray_internals.{n}" for n in parts]


def test_no_part_of_the_study_imports_tests() -> None:
    tests = {"tests", "pytest", "hypothesis", "benchmarks"}
    assert offenders(STUDY, lambda m: packages(m) & tests) == {}


def modules_after(*statements: str) -> list[set[str]]:
    """Names of all modules after each of some statements, one after the other, of a process."""
    code = "; ".join(f"{statement}; print(*sys.modules)" for statement in statements)
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [set(line.split()) for line in done.stdout.splitlines()[-len(statements) :]]


def test_a_request_is_checked_without_the_heavy_libraries() -> None:
    *_, loaded = modules_after(
        "import study.run, study.score, study.export, study.config.study_file, models",
        "study.config.study_file.load_study('quickstart')",
        "sys.argv = ['run', 'mitbih', '--plan', '--output', '/nonexistent', '--cluster', "
        "'cluster.yaml', '--price', '1']; assert study.run.app.main() == 0",
    )
    heavy = {"torch", "ray", "sklearn", "optuna", "pandas", "matplotlib", "tensorboardX"}
    assert not loaded & heavy


def test_settings_are_read_without_the_heavy_libraries() -> None:
    scores, data = modules_after(
        "import study.scores.settings", "import study.data, study.data.settings"
    )
    assert not scores & {"numpy", "scipy", "sklearn", "torch", "ray"}
    heavy = {"wfdb", "pandas", "scipy", "torch", "ray", "rich", "tsdownsample"}
    assert not data & heavy


@pytest.mark.slow
def test_a_room_below_the_cluster_loads_no_ray_and_no_command_line_and_a_fold_no_optuna() -> None:
    rooms = {"search", "ledger", "training", "report", "detectors"}
    own = [module for module in STUDY if room_of(module) in rooms]
    fold, all_of_them, with_estimators = modules_after(
        "import study.training.fold", f"import {', '.join(own)}", "import study.estimators"
    )
    assert "optuna" not in fold
    assert not all_of_them & {"ray", "typer"}
    assert "ray" not in with_estimators


def test_a_report_and_the_coordinator_need_no_pytorch_and_a_reports_help_no_libraries() -> None:
    command, report, coordinator = modules_after(
        "import study.report.__main__",
        "import study.report.build",
        "import study.cluster.coordinator, study.training.validation_report",
    )
    assert not command & {"numpy", "pyarrow", "pydantic"}
    assert not report & {"ray", "torch", "optuna", "matplotlib"}
    assert "torch" not in coordinator

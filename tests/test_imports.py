"""Imports point one way: data to models to study to the cluster."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODELS = sorted((ROOT / "models").rglob("*.py"))
STUDY = sorted((ROOT / "study").rglob("*.py"))
CLUSTER = {
    f"study/{name}.py"
    for name in (
        "cluster/capacity",
        "cluster/connection",
        "cluster/executor",
        "cluster/fold_worker",
        "cluster/placement_groups",
        "cluster/scheduler",
        "cluster/trainable",
        "cluster/tune_search",
    )
}
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


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(path: Path) -> set[str]:
    """Top-level packages that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)} imports relatively"
            found.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "__import__":
            found |= {str(a.value).split(".")[0] for a in node.args if isinstance(a, ast.Constant)}
    return found


def called(path: Path) -> set[str]:
    return {
        ast.unparse(node.func)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    }


@pytest.mark.parametrize("path", MODELS, ids=name)
def test_models_know_nothing_of_the_study_the_cluster_and_files(path: Path) -> None:
    assert not imported(path) & FORBIDDEN_IN_MODELS
    assert not called(path) & {"open", "torch.save", "torch.load", "print"}


@pytest.mark.parametrize("path", [*MODELS, *STUDY], ids=name)
def test_only_the_files_of_the_cluster_import_ray(path: Path) -> None:
    assert ("ray" in imported(path)) == (name(path) in CLUSTER)


@pytest.mark.parametrize("path", STUDY, ids=name)
def test_no_part_of_the_study_imports_tests(path: Path) -> None:
    assert not imported(path) & {"tests", "pytest", "hypothesis", "benchmarks"}


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


def test_training_a_fold_needs_no_cluster() -> None:
    assert not modules_after("import study.training.fold") & {"ray", "typer", "optuna"}


def test_a_report_needs_no_cluster_and_its_help_no_libraries() -> None:
    loaded = modules_after("import study.report.__main__; import study.report.build")
    assert not loaded & {"ray", "torch", "optuna", "matplotlib"}
    assert not modules_after("import study.report.__main__") & {"numpy", "pyarrow", "pydantic"}


def test_the_desk_and_what_it_hears_need_no_pytorch() -> None:
    loaded = modules_after("import study.cluster.coordinator, study.training.validation_report")
    assert "torch" not in loaded

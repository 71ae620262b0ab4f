"""Workers that are forked from a process which has imported what they need."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from study.cluster import worker_program
from study.cluster.fork_server import WITH_RAY, running_fork_server
from study.cluster.worker_program import ADDRESS, OOM_SCORE
from tests.study_run import seconds_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="no fork server there")

PRELOADED = "colorsys"
WORKER = f"""
import json, os, sys
print(json.dumps({{
    "arguments": sys.argv,
    "variables": {{name: os.environ.get(name) for name in ("OWN", "SET", "OF_SERVER")}},
    "folder": os.getcwd(),
    "input": sys.stdin.read(),
    "leads_group": os.getpgid(0) == os.getpid(),
    "parent": os.getppid(),
    "oom_score": int(open("{OOM_SCORE}").read()),
    "is_forked": "{PRELOADED}" in sys.modules,
}}))
"""
SETUP = "import sys; print('set up by Ray:', *sys.argv[1:])"
LESS_DEAR = 7
ALLOCATORS_THREAD = "jemalloc_bg_thd"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (tmp_path / "setup_worker.py").write_text(SETUP)
    path = tmp_path / "worker.py"
    path.write_text(WORKER)
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OF_SERVER", "1")
        environment.setenv(ADDRESS, "")  # and is put back
        with running_fork_server(tmp_path_factory.mktemp("server"), [PRELOADED]):
            yield


def printed(program: Path, *options: str, folder: Path | None = None, **variables: str) -> str:
    """Start a worker as a raylet does; return what it prints until it has ended."""
    kept = {name: value for name, value in os.environ.items() if name != "OF_SERVER"}
    command = [sys.executable, worker_program.__file__, str(program), *options]
    return subprocess.run(
        command,
        input="typed",
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=folder,
        env=kept | variables,
        preexec_fn=lambda: OOM_SCORE.write_text(str(LESS_DEAR)) and None,
    ).stdout


def context(**parts: Any) -> str:
    return f"--serialized-runtime-env-context={json.dumps(parts, separators=(',', ':'))}"


@pytest.mark.usefixtures("server")
def test_a_fork_becomes_the_worker_that_was_to_start(program: Path, tmp_path: Path) -> None:
    options = ["--node=1", "--language=PYTHON", context(env_vars={"SET": "of_$OWN"})]
    worker = json.loads(printed(program, *options, folder=tmp_path, OWN="client"))
    assert worker.pop("parent") not in (1, os.getpid())
    assert worker == {
        "arguments": [str(program), "--node=1"],
        "variables": {"OWN": "client", "SET": "of_client", "OF_SERVER": None},
        "folder": str(tmp_path),
        "input": "typed",
        "leads_group": True,
        "oom_score": LESS_DEAR,
        "is_forked": True,
    }


@pytest.mark.usefixtures("server")
def test_forks_have_one_parent_and_leave_nothing_behind(program: Path) -> None:
    parents = {json.loads(printed(program))["parent"] for _ in range(2)}
    (parent,) = parents
    children = Path(f"/proc/{parent}/task/{parent}/children")
    assert seconds_until(lambda: not children.read_text(), 10) < 10


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("part", [{"py_executable": "other"}, {"command_prefix": ["nice"]}])
def test_a_worker_of_another_interpreter_is_set_up_by_ray(
    program: Path, part: dict[str, Any]
) -> None:
    assert is_set_up_by_ray(program, "--node=1", context(**part))


@pytest.mark.usefixtures("server")
def test_a_worker_with_other_variables_of_ray_is_set_up_by_ray(program: Path) -> None:
    assert "is_forked" in printed(program)
    assert is_set_up_by_ray(program, RAY_JOB_ID="02000000")
    assert is_set_up_by_ray(program, context(env_vars={"RAY_JOB_ID": "02000000"}))


@pytest.mark.parametrize("address", ["", "/nobody/listens.sock"])
def test_without_a_server_a_worker_is_set_up_by_ray(program: Path, address: str) -> None:
    assert is_set_up_by_ray(program, "--node=1", **{ADDRESS: address})


def test_a_server_whose_imports_fail_is_done_without(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ADDRESS, "")
    with running_fork_server(tmp_path, ["no_such_module"]):
        assert is_set_up_by_ray(program)


def is_set_up_by_ray(program: Path, *options: str, **variables: str) -> bool:
    words = ["set", "up", "by", "Ray:", str(program), *options]
    return printed(program, *options, **variables).split() == words


def test_the_server_ends_with_a_killed_driver(tmp_path: Path) -> None:
    script = (
        "import time; from pathlib import Path\n"
        "from study.cluster.fork_server import WITH_RAY, running_fork_server\n"
        f"with running_fork_server(Path({str(tmp_path)!r}), []): print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as driver:
        assert driver.stdout
        driver.stdout.readline()
        (server,) = Path(f"/proc/{driver.pid}/task/{driver.pid}/children").read_text().split()
        driver.kill()
    gone = lambda: not Path(f"/proc/{server}/cmdline").exists()  # noqa: E731
    assert seconds_until(gone, 30) < 30


def test_forks_of_what_is_imported_with_ray_do_not_draw_the_same_ids() -> None:
    script = f"""
import importlib, os, ray
for module in {WITH_RAY}:
    importlib.import_module(module)
for _ in range(2):
    if os.fork() == 0:
        print(ray.WorkerID.from_random().hex(), flush=True)
        os._exit(0)
    os.wait()
"""
    command = [sys.executable, "-c", script]
    first, second = subprocess.check_output(command, text=True).splitlines()
    assert first != second


def facts() -> dict[str, Any]:
    """Tell of the worker that runs this, and of its parent."""
    parent = Path(f"/proc/{os.getppid()}")
    threads = [each for each in (parent / "task").iterdir() if each.name != parent.name]
    return {
        "has_torch": "torch" in sys.modules,
        "parent": (parent / "cmdline").read_text(),
        "threads": [(each / "comm").read_text().strip() for each in threads],
    }


def facts_of_workers() -> list[dict[str, Any]]:
    import ray

    plain = ray.remote(facts).remote()
    set_up = ray.remote(runtime_env={"env_vars": {"SET": "1"}})(facts).remote()
    other = ray.remote(runtime_env={"py_executable": f"{sys.executable} -B"})(facts).remote()
    states: list[dict[str, Any]] = ray.get([plain, set_up, other])
    return states


@pytest.mark.cluster
def test_workers_of_a_private_cluster_are_forked_if_they_can(
    on_cluster: Callable[..., Any],
) -> None:
    plain, set_up, other = on_cluster(facts_of_workers)
    for fork in (plain, set_up):
        assert "study.cluster.fork_server" in fork["parent"]
        assert fork["has_torch"]
        assert set(fork["threads"]) <= {ALLOCATORS_THREAD}
    assert "raylet" in other["parent"]
    assert not other["has_torch"]

"""A process that has imported what workers need, and forks them, on a private cluster.

A worker is a fresh process otherwise, which imports Ray and PyTorch anew: seconds of CPU time for
each process of a trial. This one imports them once, while Ray starts. Forks share its memory as
well.

As `multiprocessing.forkserver` it computes nothing and starts no thread. (Arrow's allocator has
one, and is made to be forked.) Without it workers start as Ray starts them, and all else is the
same.
"""

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from study.cluster.worker_program import ADDRESS, OOM_SCORE, RAY_PREFIX

PRELOADED = (
    "study.training.fold",
    "sklearn.svm",
    "study.training.events",
    "tensorboardX",
    "matplotlib.pyplot",
    "pyarrow.dataset",
)
"""What the processes of a study import, but for Ray."""
WITH_RAY = ("study.cluster.coordinator_actor", "study.cluster.fold_worker")
"""What they import with Ray, as far as it can be forked. Ray Train and Tune draw ids as they are
imported: from then on all forks would draw the same."""
REQUEST_SECONDS = 10.0
CHUNK_BYTES = 2**16


@contextlib.contextmanager
def running_fork_server(folder: Path, modules: Sequence[str] = PRELOADED) -> Iterator[None]:
    """Have a fork server run while the block does, known to processes by this one's environment.

    It ends with this process if that is killed.

    Args:
        folder: of its socket; what is in it must be reached by nobody else.
        modules: what it imports at once.
    """
    if sys.platform != "linux":  # elsewhere libraries do not survive a fork
        yield
        return
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
        "OMP_NUM_THREADS": "1",  # linear algebra would start threads when it is imported
    }
    with socket.socket(socket.AF_UNIX) as listener:
        address = folder / "fork.sock"
        listener.bind(str(address))
        listener.listen()
        server = subprocess.Popen(
            [sys.executable, "-m", __name__, str(listener.fileno()), *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
            env=environment,
            start_new_session=True,  # Ctrl-C is the driver's
        )
    os.environ[ADDRESS] = str(address)
    with server:
        try:
            yield
        finally:
            os.environ.pop(ADDRESS, None)
            server.kill()


@dataclass(frozen=True)
class Request:
    """A worker that is to start.

    Attributes:
        arguments: its program and arguments, as the raylet has them.
        environment: its variables, but for those of a runtime environment.
        folder: its working directory.
        oom_score: of the kernel, how gladly it is killed where memory runs out.
        files: its standard input, output and error.
    """

    arguments: list[str]
    environment: dict[str, str]
    folder: str
    oom_score: str
    files: list[int]

    @classmethod
    def receive(cls, client: socket.socket) -> "Request":
        """Receive a request.

        Raises:
            OSError, ValueError, TypeError: the client is gone, or sent something else.
        """
        client.settimeout(REQUEST_SECONDS)
        _, files, _, _ = socket.recv_fds(client, 1, 3)
        parts = []
        while part := client.recv(CHUNK_BYTES):
            parts.append(part)
        return cls(**json.loads(b"".join(parts)), files=files)

    @property
    def variables_of_ray(self) -> dict[str, str]:
        """What Ray reads when it is imported."""
        return {n: v for n, v in self.environment.items() if n.startswith(RAY_PREFIX)}

    def set_up(self) -> list[str]:
        """Give this process what the worker has of its own; return its program and arguments."""
        from study.cluster.ray_internals.forked_workers import set_up_worker

        for number, file in enumerate(self.files):
            os.dup2(file, number)
            os.close(file)
        os.setpgid(0, 0)  # Ray ends a worker's group with it
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        with contextlib.suppress(OSError):
            OOM_SCORE.write_text(self.oom_score)
        os.chdir(self.folder)
        os.environ.clear()
        os.environ.update(self.environment)
        return set_up_worker(self.arguments)


class ForkServer:
    """Forks for each request that comes in at a socket.

    Args:
        listener: the socket.
    """

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._variables_of_ray: dict[str, str] = {}

    def serve(self, modules: Sequence[str]) -> Request | None:
        """Import modules, and fork for each request, between two imports as well.

        Returns:
            In a fork its request; None in this process, when the driver is gone.
        """
        for module in modules:
            importlib.import_module(module)
            assert self._variables_of_ray or "ray" not in sys.modules, f"{module} imports Ray"
            if request := self._next_fork(patience_seconds=0.0):
                return request
        return self._next_fork()

    def _next_fork(self, patience_seconds: float | None = None) -> Request | None:
        """Fork for requests until none has come for so long, or the driver is gone."""
        while True:
            ready, _, _ = select.select([self._listener, sys.stdin], [], [], patience_seconds)
            if sys.stdin in ready or not ready:
                return None
            client, _ = self._listener.accept()
            with client, contextlib.suppress(OSError, ValueError, TypeError):
                request, is_fork = Request.receive(client), False
                try:
                    if self._can_become(request):
                        gc.freeze()  # a collection would copy the memory that forks share
                        is_fork = os.fork() == 0
                        if is_fork:
                            gc.enable()
                            return request
                        client.sendall(b"\n")
                finally:
                    for file in () if is_fork else request.files:
                        os.close(file)

    def _can_become(self, request: Request) -> bool:
        """Return whether a fork of this process is what a fresh one would be."""
        if not self._variables_of_ray:
            # Ray reads them as it is imported, and they are known when a first worker is to start.
            self._variables_of_ray = request.variables_of_ray
            os.environ.update(request.variables_of_ray)
            for module in WITH_RAY:
                importlib.import_module(module)
        from study.cluster.ray_internals.forked_workers import can_be_forked

        is_same = request.variables_of_ray == self._variables_of_ray
        return is_same and can_be_forked(request.arguments)


def main(handle: str, *modules: str) -> None:
    """Serve requests that come in at the socket with this file handle."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # what has ended is gone
    gc.disable()
    with socket.socket(fileno=int(handle)) as listener:
        request = ForkServer(listener).serve(modules)
    if request:
        sys.argv = request.set_up()
        runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from ray.exceptions import ActorDiedError, NodeDiedError, OutOfMemoryError, RayTaskError
from ray.train.v2._internal.exceptions import (
    UserExceptionWithTraceback,
    WorkerHealthCheckFailedError,
    WorkerHealthCheckTimeoutError,
)

from study.cluster.faults import REASON_LENGTH, Fault, Owner, fault_of, reason_of
from study.cluster.ray_internals.train import deaths
from study.errors import StudyFailedError
from study.storage.folder import LocalFolder
from study.storage.locks import ForeignRunError
from tests.faulty_disk import FaultyDisk

RESULTS, STORE = "/mnt/shared/results", "s3://bucket/results"


def file_error(number: int, path: str | None = f"{RESULTS}/study/a.state") -> OSError:
    return OSError(number, os.strerror(number), path)


def died(message: str, preempted: bool = False) -> ActorDiedError:
    """A death as Ray describes it; its own constructor takes a message of its core."""
    error = ActorDiedError()
    error.error_msg, error._preempted = message, preempted
    return error


def of_owner(owner: Owner, *errors: BaseException) -> list[tuple[Owner, BaseException]]:
    return [(owner, error) for error in errors]


EVERY = [
    *of_owner(
        Owner.TRIAL,
        ValueError("expected 3 channels"),
        KeyError("updates"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        # An index out of range is the trial's own on every device.
        torch.AcceleratorError("CUDA error: device-side assert triggered"),
        UserExceptionWithTraceback(ValueError("no"), "Traceback"),
    ),
    *of_owner(
        Owner.NODE,
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("CUDA error: uncorrectable ECC error encountered"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling cublasCreate"),
        RuntimeError("No CUDA GPUs are available"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("CUDA error: out of memory"),
        MemoryError(),
        OutOfMemoryError("the node running low on memory"),
        file_error(errno.EIO),
        file_error(errno.ESTALE),
        file_error(errno.EROFS),
        file_error(errno.ENOTCONN),
        file_error(errno.ENOSPC, "/tmp/torchinductor/a.so"),
        file_error(errno.ENOSPC, None),
        WorkerHealthCheckTimeoutError("hanging"),
    ),
    *of_owner(
        Owner.CLUSTER,
        NodeDiedError("gone"),
        died("The actor died because its node has died. Node Id: 4f"),
        died("The actor is dead because its node was terminated: spot", preempted=True),
        WorkerHealthCheckFailedError("poll", died("because its node has died.")),
    ),
    *of_owner(
        Owner.UNKNOWN,
        died("Worker unexpectedly exits with a connection error code 2. End of file."),
        WorkerHealthCheckFailedError("poll", died("killed by `ray.kill`")),
    ),
    *of_owner(
        Owner.STUDY,
        StudyFailedError("a.parquet is not what was committed (sha256)"),
        ForeignRunError("another run has begun"),
        file_error(errno.ENOSPC),
        file_error(errno.EDQUOT),
    ),
]


@pytest.mark.parametrize(("owner", "error"), EVERY, ids=lambda value: str(value)[:40])
def test_each_fault_has_an_owner(owner: Owner, error: BaseException) -> None:
    assert fault_of(error, RESULTS).owner is owner


@pytest.mark.parametrize(
    ("message", "owner"),
    [
        ("When reading information for key 'a' in bucket 'b': AWS Error SLOW_DOWN", Owner.STORE),
        ("AWS Error NETWORK_CONNECTION during HeadObject: curlCode: 28, Timeout was", Owner.STORE),
        ("AWS Error UNKNOWN (HTTP status 503) during HeadObject operation", Owner.STORE),
        ("Error performing PUT in 900s, after 60 retries: status code 429", Owner.STORE),
        ("google::cloud::Status(UNAVAILABLE: try again)", Owner.STORE),
        ("HTTP error: error sending request: operation timed out", Owner.STORE),
        ("AWS Error ACCESS_DENIED during PutObject operation: Access Denied.", Owner.STUDY),
        ("AWS Error NO_SUCH_BUCKET during PutObject operation", Owner.STUDY),
    ],
)
def test_a_store_that_does_not_answer_is_told_from_one_that_refuses(
    message: str, owner: Owner
) -> None:
    assert fault_of(OSError(message), STORE).owner is owner


def test_what_a_node_may_be_to_blame_for_has_another_owner_where_it_does_not_go_away() -> None:
    everywhere = {
        torch.OutOfMemoryError("CUDA out of memory"): Owner.TRIAL,
        MemoryError(): Owner.TRIAL,
        OutOfMemoryError("the node running low on memory"): Owner.TRIAL,
        file_error(errno.EIO): Owner.STUDY,
        RuntimeError("CUDA error: unspecified launch failure"): None,
    }
    for error, owner in everywhere.items():
        assert fault_of(error, RESULTS).everywhere is owner


@pytest.mark.parametrize(("mode", "owner"), [("full", Owner.STUDY), ("error", Owner.NODE)])
def test_what_a_folder_on_a_faulty_disk_raises(mode: str, owner: Owner, tmp_path: Path) -> None:
    with (
        FaultyDisk(tmp_path, at=1, mode=mode),
        pytest.raises(OSError) as raised,  # noqa: PT011
    ):
        LocalFolder(tmp_path).write("checkpoint.state", b"much")
    assert fault_of(raised.value, str(tmp_path)).owner is owner


def test_what_a_worker_gets_from_another_process_is_what_was_raised_there() -> None:
    cause = StudyFailedError("no")
    assert fault_of(RayTaskError("f", "Traceback", cause)) == Fault(
        Owner.STUDY, "StudyFailedError: no"
    )


def test_a_reason_is_one_short_line() -> None:
    assert reason_of(KeyError()) == "KeyError"
    long: Any = ValueError("one\n  two " + "x" * REASON_LENGTH)
    assert reason_of(long).startswith("ValueError: one two xx")
    assert len(reason_of(long)) == REASON_LENGTH


def test_deaths_are_told_from_what_workers_raised() -> None:
    dead = WorkerHealthCheckFailedError("poll", died("End of file."))
    raised = UserExceptionWithTraceback(ValueError("no"), "Traceback")
    assert deaths({0: raised, 3: dead}) == {3: dead}

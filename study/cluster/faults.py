"""What failed, and whose fault it was.

A trial that cannot be trained fails alone; a node that is ill is left alone; what the cluster
takes away it gives back; and only what every trial would meet ends a study. So everything that
goes wrong gets an owner, by one function, before anything is done about it.
"""

import errno
import re
from dataclasses import dataclass
from enum import StrEnum

from ray.exceptions import (
    ObjectStoreFullError,
    OutOfDiskError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RayTaskError,
)

from study.errors import StudyFailedError, one_line
from study.storage.locks import ForeignRunError

REASON_LENGTH = 300
FULL_DISK = {errno.ENOSPC, errno.EDQUOT}
DEVICE = re.compile(
    r"\b(CUDA|HIP|NVML) (driver |runtime )?error|CUDNN_STATUS_|CUBLAS_STATUS_|CUSOLVER_STATUS_|"
    r"CUFFT_|No CUDA GPUs are available|no CUDA-capable device|unspecified launch failure"
)
DEVICE_MEMORY = re.compile(r"(CUDA|HIP)( error:)? out of memory|_STATUS_ALLOC_FAILED")
TRIALS_OWN_KERNEL = "device-side assert"
"""A CUDA error that every device would raise: an index that a network makes is out of range."""
STORE_AWAY = re.compile(
    r"SLOW_?DOWN|THROTTL|REQUEST_TIMEOUT|NETWORK_CONNECTION|INTERNAL_?(FAILURE|ERROR)|UNAVAILABLE"
    r"|RESOURCE_EXHAUSTED|DEADLINE_EXCEEDED|\b(status|code|HTTP)\D{0,8}(408|425|429|5\d\d)\b"
    r"|curlCode|time(d[ -])?out|connection (reset|refused|closed)|error sending request",
    re.IGNORECASE,
)
"""What stores say of what passes, in the messages of their clients, which have no classes."""
LOST_NODE = re.compile(r"its node (has )?died|node (was|is) (drained|terminated|preempted)")


class Owner(StrEnum):
    """Whose fault it is that a fold could not be trained."""

    TRIAL = "trial"
    """Its settings or its code: no other node would do better. It fails, and others go on."""
    NODE = "node"
    """Its device, memory, disk or mount: the trial goes on elsewhere."""
    CLUSTER = "cluster"
    """A node or a process was taken away: it is waited for, and counts for nothing."""
    STORE = "store"
    """The store did not answer, however long it was asked again."""
    STUDY = "study"
    """What every trial would meet: a full disk of results, a damaged file."""
    UNKNOWN = "unknown"
    """A process died without a word."""


@dataclass(frozen=True)
class Fault:
    """Why a fold could not be trained.

    Attributes:
        owner: whose fault it is.
        reason: in one line, short enough for a table.
        everywhere: of a node's fault, whose it is if the trial meets it wherever it runs;
            None: the trial's if others get on there, else the study's.
    """

    owner: Owner
    reason: str
    everywhere: Owner | None = None


def fault_of(error: BaseException, results: str = "") -> Fault:
    """Return whose fault an exception or a death is.

    Args:
        error: what a fold's worker raised, or what Ray Train says of one that died.
        results: path or URI of the folder of results: a full disk is every trial's there,
            and a node's anywhere else.
    """
    # Ray Train wraps what it finds when it asks a worker that has died how it is.
    error = getattr(error, "health_check_failure", error)
    if isinstance(error, RayTaskError) and isinstance(error.cause, Exception):
        return fault_of(error.cause, results)
    reason = reason_of(error)
    if isinstance(error, RayError):
        return _ray_fault(error, reason)
    if isinstance(error, StudyFailedError | ForeignRunError):
        return Fault(Owner.STUDY, reason)
    if isinstance(error, OSError):
        return _file_fault(error, reason, results)
    if isinstance(error, MemoryError):
        return Fault(Owner.NODE, reason, Owner.TRIAL)
    if type(error).__name__ == "WorkerHealthCheckTimeoutError":  # Ray Train's, of a stopped process
        return Fault(Owner.NODE, "its process did not answer")
    return _device_fault(error, reason) or Fault(Owner.TRIAL, reason)


def _ray_fault(error: RayError, reason: str) -> Fault:
    if isinstance(error, OutOfMemoryError):
        return Fault(Owner.NODE, reason, Owner.TRIAL)
    if isinstance(error, ObjectStoreFullError | OutOfDiskError):
        return Fault(Owner.NODE, reason, Owner.STUDY)
    if isinstance(error, RayActorError):
        is_taken = error.preempted or LOST_NODE.search(str(error))
        return Fault(Owner.CLUSTER if is_taken else Owner.UNKNOWN, reason)
    return Fault(Owner.CLUSTER, reason)


def _file_fault(error: OSError, reason: str, results: str) -> Fault:
    """Return whose fault it is that a file could not be read or written."""
    path = str(error.filename or "")
    if "://" in results and error.errno is None:  # what stores raise has no number
        is_away = isinstance(error, ConnectionError | TimeoutError) or STORE_AWAY.search(reason)
        return Fault(Owner.STORE if is_away else Owner.STUDY, reason)
    if error.errno in FULL_DISK and results and path.startswith(results):
        return Fault(Owner.STUDY, reason)
    return Fault(Owner.NODE, reason, Owner.STUDY)


def _device_fault(error: BaseException, reason: str) -> Fault | None:
    """Return whose fault it is if a GPU, or what drives it, raised this; PyTorch has no class."""
    text = str(error)
    if TRIALS_OWN_KERNEL in text:
        return None
    if type(error).__name__ == "OutOfMemoryError" or DEVICE_MEMORY.search(text):
        return Fault(Owner.NODE, reason, Owner.TRIAL)
    if type(error).__name__ == "AcceleratorError" or DEVICE.search(text):
        return Fault(Owner.NODE, reason)
    return None


def reason_of(error: BaseException) -> str:
    """Return what went wrong in one line, short enough for a table."""
    text = one_line(error)
    return f"{type(error).__name__}: {text}"[:REASON_LENGTH] if text else type(error).__name__

"""What training raises where something is ill: what PyTorch and the system raise there."""

import errno
import os
from collections.abc import Callable
from functools import partial

import torch

ILLNESSES: dict[str, Callable[[], Exception]] = {
    "cuda": partial(RuntimeError, "CUDA error: uncorrectable ECC error encountered"),
    "memory": partial(torch.OutOfMemoryError, "CUDA out of memory. Tried to allocate 2.00 GiB."),
    "disk": partial(OSError, errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/kernels/a.so"),
    "setting": partial(ValueError, "the kernel is longer than the signal"),
}

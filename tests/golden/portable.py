"""Arithmetic that is alike on many machines, and a probe that shows where it is not.

`ENVIRONMENT` keeps every library from choosing instructions by the processor that it runs
on. `python -m tests.golden.portable` prints, as JSON, the versions of the libraries that
compute, and digests of a few results of each.
"""

import hashlib
import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

ENVIRONMENT = {
    "ATEN_CPU_CAPABILITY": "default",  # PyTorch's own kernels
    "ONEDNN_MAX_CPU_ISA": "SSE41",  # PyTorch's convolutions
    "MKL_CBWR": "COMPATIBLE",  # PyTorch's products of matrices
    "OPENBLAS_CORETYPE": "Nehalem",  # NumPy's and SciPy's linear algebra
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",  # NumPy's functions
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F",  # exp, log, sin, pow
    "ARROW_USER_SIMD_LEVEL": "NONE",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
VERSIONED = ("numpy", "optuna", "pandas", "pyarrow", "scikit-learn", "scipy", "torch")


def machine() -> dict[str, dict[str, str]]:
    """Return versions and digests of this machine, in `ENVIRONMENT`."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.golden.portable"],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        check=True,
    )
    measured: dict[str, dict[str, str]] = json.loads(done.stdout)
    return measured


def deviations(golden: dict[str, dict[str, str]], here: dict[str, dict[str, str]]) -> list[str]:
    """Return in what this machine's versions and digests are not those of the goldens."""
    versions = [
        f"{name} {here['versions'].get(name)} in place of {wanted}"
        for name, wanted in golden["versions"].items()
        if here["versions"].get(name) != wanted
    ]
    digests = [
        f"other results of {name}"
        for name, wanted in golden["digests"].items()
        if here["digests"].get(name) != wanted
    ]
    return versions + digests


def _torch_networks(random: Any) -> list[Any]:
    import torch
    from torch.nn import functional

    def drawn(*shape: int) -> torch.Tensor:
        values = torch.from_numpy(random.random(shape, dtype="float32") - 0.5)
        return values.requires_grad_()

    signal, narrowing, widening = drawn(48, 32, 32), drawn(64, 32, 4), drawn(64, 32, 4)
    narrowed = functional.conv1d(signal, narrowing, stride=2, padding=1)
    normed = functional.batch_norm(narrowed, None, None, training=True)
    widened = functional.conv_transpose1d(normed, widening, stride=2, padding=1)
    weight = drawn(32 * 32, 6)
    latent = torch.tanh(widened.flatten(1) @ weight)
    loss = functional.binary_cross_entropy(torch.sigmoid(widened), signal.detach() + 0.5)
    (loss + latent.square().sum()).backward()
    leaves = (signal, narrowing, widening, weight)
    return [loss.detach(), latent.detach(), *(leaf.grad for leaf in leaves)]


def _torch_functions(random: Any) -> list[Any]:
    import torch
    from torch.nn import functional

    values = torch.from_numpy(random.random(10_007, dtype="float32") + 0.1)
    mapped = [f(values) for f in (torch.exp, torch.log, torch.tanh, torch.sqrt, torch.rsqrt)]
    return [*mapped, functional.softplus(values), values.sum(), values.var(), values.norm()]


def _numpy_functions(random: Any) -> list[Any]:
    import numpy as np

    values = random.random(10_007) + 0.1
    functions = (np.exp, np.log, np.sin, np.tanh, np.sqrt, np.cbrt, np.log1p)
    mapped = [f(x) for f in functions for x in (values, values.astype(np.float32))]
    by_libm = [[math.exp(x), math.log(x), math.pow(x, 1.3), math.gamma(x)] for x in values[:500]]
    return [*mapped, values**1.7, by_libm]


def _numpy_sums(random: Any) -> list[Any]:
    import numpy as np

    values = random.random((101, 99))
    return [values.sum(), values.mean(axis=0), values.std(axis=1), np.quantile(values, 0.3)]


def _linear_algebra(random: Any) -> list[Any]:
    import numpy as np
    import scipy.linalg

    values = random.random((60, 40))
    square = values.T @ values
    solved = np.linalg.solve(square, values[0])
    factors = scipy.linalg.svd(values, full_matrices=False)
    return [square, solved, *np.linalg.eigh(square), *factors, np.float32(values) @ values.T]


def _distributions(random: Any) -> list[Any]:
    from scipy import stats

    values = random.random(200) + 0.5
    quantiles = stats.t.ppf(values / 2, 3), stats.norm.cdf(values), stats.chi.logpdf(values, 4)
    return [*quantiles, *stats.chi.fit(values, f0=4, floc=0), *stats.kstest(values, "norm")]


def _learners(random: Any) -> list[Any]:
    from sklearn.decomposition import PCA
    from sklearn.ensemble import IsolationForest
    from sklearn.neighbors import NearestNeighbors
    from sklearn.svm import SVC

    values = random.random((120, 8))
    machine = SVC().fit(values, values[:, 0] > 0.5)
    return [
        machine.decision_function(values),
        PCA(4).fit_transform(values),
        IsolationForest(n_estimators=10, random_state=0).fit(values).score_samples(values),
        NearestNeighbors(n_neighbors=5).fit(values).kneighbors(values)[0],
    ]


_COMPUTATIONS: dict[str, Callable[[Any], list[Any]]] = {
    "PyTorch's networks": _torch_networks,
    "PyTorch's functions": _torch_functions,
    "NumPy's functions": _numpy_functions,
    "NumPy's sums": _numpy_sums,
    "linear algebra": _linear_algebra,
    "SciPy's distributions": _distributions,
    "scikit-learn": _learners,
}


def _measured() -> dict[str, dict[str, str]]:
    import numpy as np

    def digest(values: list[Any]) -> str:
        parts = (np.ascontiguousarray(value).tobytes() for value in values)
        return hashlib.sha256(b"".join(parts)).hexdigest()

    python = ".".join(platform.python_version_tuple()[:2])
    return {
        "versions": {"python": python, **{name: version(name) for name in VERSIONED}},
        "digests": {
            name: digest(compute(np.random.default_rng(0)))
            for name, compute in _COMPUTATIONS.items()
        },
    }


if __name__ == "__main__":
    json.dump(_measured(), sys.stdout)

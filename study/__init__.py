"""Ray-distributed studies of one-class anomaly detection in time series."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from study.detectors.detector import Detector, load_detector

__all__ = ["Detector", "load_detector"]


def __getattr__(name: str) -> Any:
    # Every command imports this package first: PyTorch comes when a detector is asked for.
    if name in __all__:
        from study.detectors import detector

        return getattr(detector, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""What a composition decides on the samples of a split."""

from dataclasses import dataclass

from study.scores.components import Float, Label


@dataclass(frozen=True)
class Decisions:
    """A composition's labels and scores of the test samples of one fold.

    Attributes:
        label: `(n,)` 0 normal, 1 abnormal.
        score: `(n,)` finite, higher is more abnormal.
        prediction: `(n,)` 0 or 1.

    Raises:
        ValueError: shapes that differ.
    """

    label: Label
    score: Float
    prediction: Label

    def __post_init__(self) -> None:
        if self.label.ndim != 1:
            raise ValueError(f"labels must be one-dimensional, found {self.label.shape}")
        for name, values in (("scores", self.score), ("predictions", self.prediction)):
            if values.shape != self.label.shape:
                raise ValueError(
                    f"{name} must have shape {self.label.shape} as the labels, found {values.shape}"
                )

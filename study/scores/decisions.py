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
        if not (self.label.ndim == 1 and self.label.shape == self.score.shape):
            raise ValueError(f"found labels {self.label.shape} for scores {self.score.shape}")
        if self.label.shape != self.prediction.shape:
            raise ValueError(
                f"found labels {self.label.shape} for predictions {self.prediction.shape}"
            )

"""The models as scikit-learn outlier detectors, an estimator for each row of the table.

They are fitted on normal samples without a study, a file or a cluster, and follow the
conventions of scikit-learn: `predict` gives 1 for inliers and -1 for outliers, and
`decision_function` is `score_samples` minus `offset_`, 0 or more for inliers. Labels are
never read. Parameters are the model's own settings and those of its training, by their
names in a study file, with the table's defaults.

    from study.estimators import BetaVAEGANDetector

    detector = BetaVAEGANDetector(epochs=50, random_state=0).fit(normals)
    outliers = detector.predict(samples) == -1

The classes are made from the table of models; `__init__.pyi`, written by
`python -m study.estimators.stub`, shows them and their parameters to editors and type
checkers.
"""

from models import MODELS
from study.estimators.model_detector import ModelDetector, detector_class

DETECTORS = {name: detector_class(name) for name in MODELS}
"""The detector of each model, by the model's name."""

globals().update({detector.__name__: detector for detector in DETECTORS.values()})

__all__ = ["ModelDetector", *(detector.__name__ for detector in DETECTORS.values())]

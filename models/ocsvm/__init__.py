"""One-class SVM on principal components (appendix C)."""

from models.entry import OUTLIER_SCORE, ModelEntry
from models.ocsvm.settings import OneClassSVMSettings

ENTRY = ModelEntry(
    settings=OneClassSVMSettings,
    location="models.ocsvm.model:OneClassSVM",
    components=(OUTLIER_SCORE,),
    description="one-class SVM on principal components (the paper's appendix C)",
    training_defaults={"epochs": 1},
    fitted_once=True,
)

"""Isolation forest (Liu, Ting and Zhou 2008)."""

from models.entry import OUTLIER_SCORE, ModelEntry
from models.isolation_forest.settings import IsolationForestSettings

ENTRY = ModelEntry(
    settings=IsolationForestSettings,
    location="models.isolation_forest.model:IsolationForest",
    components=(OUTLIER_SCORE,),
    description="isolation forest of Liu et al. 2008",
    training_defaults={"epochs": 1},
    fitted_once=True,
)

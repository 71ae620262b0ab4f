"""Distance to the nearest training normals (Ramaswamy et al. 2000)."""

from models.entry import OUTLIER_SCORE, ModelEntry
from models.knn.settings import KNNSettings

ENTRY = ModelEntry(
    settings=KNNSettings,
    location="models.knn.model:NearestNeighbours",
    components=(OUTLIER_SCORE,),
    description="mean distance to the nearest training normals",
    training_defaults={"epochs": 1},
    fitted_once=True,
)

"""Nearest neighbours in MiniRocket's features (Dempster et al. 2021, Theissler et al. 2024)."""

from models.entry import OUTLIER_SCORE, ModelEntry
from models.rocket_knn.settings import RocketKNNSettings

ENTRY = ModelEntry(
    settings=RocketKNNSettings,
    location="models.rocket_knn.model:RocketNeighbours",
    components=(OUTLIER_SCORE,),
    description="distance to the nearest training normals in MiniRocket's features",
    training_defaults={"epochs": 1},
    fitted_once=True,
)

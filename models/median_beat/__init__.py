"""Distance from the median training normal."""

from models.entry import OUTLIER_SCORE, ModelEntry
from models.median_beat.settings import MedianBeatSettings

ENTRY = ModelEntry(
    settings=MedianBeatSettings,
    location="models.median_beat.model:MedianBeat",
    components=(OUTLIER_SCORE,),
    description="distance from the median training normal",
    training_defaults={"epochs": 1},
    fitted_once=True,
)

"""Settings of the distance from the median normal."""

from typing import Literal

from models.bases.settings import NamedSettings


class MedianBeatSettings(NamedSettings):
    """Distance from the median training normal: the least that a model has to beat."""

    name: Literal["median_beat"] = "median_beat"

"""Reconstruction by principal components."""

from models.entry import RECONSTRUCTION_ERROR, ModelEntry
from models.pca.settings import PCASettings

ENTRY = ModelEntry(
    settings=PCASettings,
    location="models.pca.model:PrincipalComponents",
    components=(RECONSTRUCTION_ERROR,),
    description="reconstruction by principal components",
    training_defaults={"epochs": 1},
    fitted_once=True,
)

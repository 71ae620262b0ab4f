"""Python imports this as it starts, where this folder is on PYTHONPATH."""

from dataclasses import replace

from models import MODELS

MODELS["beta_vaegan"] = replace(MODELS["beta_vaegan"], location="tests.gate.model:GatedVAEGAN")

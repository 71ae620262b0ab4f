"""Python imports this as it starts, where this folder is on PYTHONPATH."""

import os
from dataclasses import replace

from models import MODELS
from tests.gate import SICK, STORE_SECONDS

MODELS["beta_vaegan"] = replace(MODELS["beta_vaegan"], location="tests.gate.model:GatedVAEGAN")
if {SICK, STORE_SECONDS} & os.environ.keys():
    from tests.gate.storage_faults import STALE_MOUNT, shorten_patience, spoil_mount

    if os.environ.get(SICK) == STALE_MOUNT:
        spoil_mount()
    if STORE_SECONDS in os.environ:
        shorten_patience(int(os.environ[STORE_SECONDS]))

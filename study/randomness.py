"""One study seed, one stream for each use of randomness.

Splits, weights, batches, generated data and the search each draw from a stream of
their own, so that a change in one of them leaves the others as they were.
"""

import hashlib
import json


def stream_seed(study_seed: int, *path: str | int) -> int:
    """Return the seed of the stream that `path` names, in [0, 2**63).

    Args:
        study_seed: the study's seed, any non-negative integer.
        path: what the stream is for, e.g. `("weights", fold)`.
    """
    text = json.dumps([study_seed, *path])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

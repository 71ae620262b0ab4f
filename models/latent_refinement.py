"""Latent refinement (appendix I): the encoder's z is where AnoGAN's search starts.

Trained, it is beta-VAEGAN. Only the errors differ: they are those of the z that the
search finds, with how far it went. Scoring costs up to `max_steps` passes of the
decoder, there and back.
"""

from typing import ClassVar

from torch import Tensor

from models import REFINED_ERRORS
from models.beta_vaegan import BetaVAEGAN
from models.gradient import frozen
from models.latent_search import Found, search_latent
from models.settings import LatentRefinementSettings


class LatentRefinement(BetaVAEGAN):
    """beta-VAEGAN, scored at the best z of a search that starts at the encoder's."""

    components: ClassVar[tuple[str, ...]] = REFINED_ERRORS
    settings: LatentRefinementSettings

    def latent(self, x: Tensor) -> Tensor:
        """Return the refined z."""
        return self._refine(x, super().latent(x)).z

    def batch_errors(self, x: Tensor) -> dict[str, Tensor]:
        """Return R, D and ||z|| of the refined z, and where the search came from.

        `latent_distance` is the length of the search's path, `start_norm` the norm of the
        encoder's z and `end_norm` that of the refined z, which is `latent_norm` as well.
        """
        start = super().latent(x)
        found = self._refine(x, start)
        errors = self.compare(x, self.decode(found.z), found.z)
        return {
            **errors,
            "latent_distance": found.distance,
            "start_norm": start.norm(dim=1),
            "end_norm": errors["latent_norm"],
        }

    def _refine(self, x: Tensor, start: Tensor) -> Found:
        with frozen(self.networks["decoder"]):
            return search_latent(self.decode, x, start.unsqueeze(1), self.settings)

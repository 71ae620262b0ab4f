"""Models trained by gradient descent: batches, precision, weights and training state."""

import contextlib
import copy
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from models.bases.optimizers import make_optimizer
from models.bases.settings import TrainingSettings
from models.interface import Model, Seeds, Shape
from models.networks.architecture import Decoder, Trunk
from models.networks.frozen import frozen_network

SCORING_BATCH = 1024

Result = TypeVar("Result")
Errors = dict[str, Tensor]


@contextlib.contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Let gradients pass through `network` without reaching its own weights."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def joined(batches: Sequence[Errors], components: Iterable[str]) -> Errors:
    """Return the errors of batches as those of all their samples, `(n,)` float32 each."""
    return {name: torch.cat([batch[name] for batch in batches]).float() for name in components}


def variances_over(score: Callable[[Tensor], Errors], draws: int, x: Tensor) -> Errors:
    """Return the variance of each error of a batch over `draws` scorings."""
    scorings = [score(x) for _ in range(draws)]
    variances = {}
    for name in scorings[0]:
        errors = torch.stack([each[name] for each in scorings])  # (b,), ... -> (draws, b)
        variances[name] = errors.var(dim=0)  # (draws, b) -> (b,)
    return variances


class GradientModel(Model):
    """A model of networks and optimisers.

    A subclass builds its networks in `build_networks`, names the networks that each
    optimiser moves in `optimized`, and gives `training_step` and `batch_errors`.
    """

    optimized: ClassVar[dict[str, tuple[str, ...]]]

    def __init__(
        self,
        settings: Any,
        training: TrainingSettings,
        shape: Shape,
        seeds: Seeds,
        device: torch.device,
    ) -> None:
        self.settings = settings
        self.training = training
        self.shape = shape
        self.device = device
        if device.type == "cuda":  # a fold has its process for itself
            tf32 = training.precision == "tf32"
            torch.set_float32_matmul_precision("high" if tf32 else "highest")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeds.weights)
            self.networks = nn.ModuleDict(self.build_networks())
        self.networks.to(device)
        if training.compile:
            for module in self.networks.modules():
                if isinstance(module, Trunk | Decoder):
                    module.compile()
        self.optimizers = {
            name: make_optimizer(
                [p for network in networks for p in self.networks[network].parameters()],
                training.optimizer,
            )
            for name, networks in self.optimized.items()
        }
        self._batches = torch.Generator().manual_seed(seeds.batches)
        self._noise = torch.Generator(device).manual_seed(seeds.noise)

    @abstractmethod
    def build_networks(self) -> dict[str, nn.Module]:
        """Return the networks by name, on the CPU."""

    @abstractmethod
    def training_step(self, x: Tensor) -> dict[str, Tensor]:
        """Update the weights on one batch; return its losses as detached scalars."""

    @abstractmethod
    def batch_errors(self, x: Tensor) -> dict[str, Tensor]:
        """Return the error components of one batch; networks are in evaluation mode."""

    @abstractmethod
    def batch_reconstruction(self, x: Tensor) -> Tensor:
        """Return x̂ of one batch; networks are in evaluation mode."""

    @property
    def dtype(self) -> torch.dtype:
        """What networks are given and so compute in, by `training.precision`."""
        return torch.bfloat16 if self.training.precision == "bfloat16" else torch.float32

    def noise_like(self, template: Tensor) -> Tensor:
        """Draw standard normal noise from the model's own stream."""
        return torch.randn(template.shape, generator=self._noise, device=self.device)

    def train_epoch(self, samples: Tensor, members: Tensor) -> dict[str, float]:
        """Train on every member once, in a new order; see `Model.train_epoch`."""
        self.networks.train()
        totals: dict[str, Tensor] = {}
        trained = 0
        for index in self.shuffled_batches(members):
            for name, loss in self.training_step(samples[index]).items():
                totals[name] = totals.get(name, torch.zeros((), device=self.device)) + loss * len(
                    index
                )
            trained += len(index)
        return {name: float(total) / trained for name, total in totals.items()}

    def _step(self, name: str, loss: Tensor) -> None:
        """Move the weights of the optimiser `name` down the gradient of `loss`."""
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def shuffled_batches(self, members: Tensor) -> list[Tensor]:
        """Split a new order of the members; a last batch of one has no variance: left out."""
        order = members[torch.randperm(len(members), generator=self._batches).to(self.device)]
        batches = list(torch.split(order, self.training.batch_size))  # (m,) -> (batch,), ...
        if len(batches) > 1 and len(batches[-1]) == 1:
            batches.pop()
        return batches

    def errors(self, samples: Tensor) -> dict[str, Tensor]:
        """Score in batches; see `Model.errors`."""
        return joined(self.in_batches(self.batch_errors, samples), self.components)

    def error_variances(self, samples: Tensor, draws: int) -> dict[str, Tensor]:
        """Score each batch `draws` times if z is drawn; see `Model.error_variances`."""
        if not self.draws_scores:
            return {}
        variances = partial(variances_over, self.batch_errors, draws)
        return joined(self.in_batches(variances, samples), self.components)

    @property
    def draws_scores(self) -> bool:
        """Whether z is drawn anew each time that a sample is scored."""
        return getattr(self.settings, "latent", "mean") == "sampled"

    def reconstruct(self, samples: Tensor) -> Tensor:
        """Reconstruct in batches; see `Model.reconstruct`."""
        return torch.cat(self.in_batches(self.batch_reconstruction, samples)).float()

    @torch.inference_mode()
    def in_batches(self, function: Callable[[Tensor], Result], rows: Tensor) -> list[Result]:
        """Return `function` of each batch of `rows`, in evaluation mode."""
        with self._scoring():
            batches = torch.split(rows, SCORING_BATCH)  # (n, ...) -> (batch, ...), ...
            return [function(batch) for batch in batches]

    @contextlib.contextmanager
    def _scoring(self) -> Iterator[None]:
        """Evaluation mode; the stream of noise that training draws from stands still."""
        noise = self._noise.get_state()
        training = self.networks.training
        if training:
            self.networks.eval()
        try:
            with nn.utils.parametrize.cached():
                yield
        finally:
            if training:
                self.networks.train()
            self._noise.set_state(noise)

    def freeze(self) -> None:
        """See `Model.freeze`."""
        self.networks = nn.ModuleDict(
            {name: frozen_network(each, self.dtype) for name, each in self.networks.items()}
        ).eval()

    def weights(self) -> dict[str, Tensor]:
        """See `Model.weights`; parameters, batch norm statistics, spectral norm vectors."""
        return {
            name: value.detach().to("cpu", copy=True).contiguous()
            for name, value in self.networks.state_dict().items()
        }

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """See `Model.load_weights`."""
        self.networks.load_state_dict(weights)

    def state(self) -> dict[str, Any]:
        """See `Model.state`: weights, optimisers, and both streams of randomness."""
        return {
            "weights": self.weights(),
            "optimizers": {
                name: copy.deepcopy(optimizer.state_dict())
                for name, optimizer in self.optimizers.items()
            },
            "batches": self._batches.get_state(),
            "noise": self._noise.get_state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """See `Model.load_state`."""
        self.load_weights(state["weights"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self._batches.set_state(state["batches"].cpu())
        self._noise.set_state(state["noise"].cpu())

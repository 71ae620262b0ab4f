"""Models trained by gradient descent: batches, precision, weights and training state."""

import contextlib
import copy
from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator
from functools import partial
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from models.bases.augmentation import stretched, time_warped
from models.bases.average import AveragedNetworks
from models.bases.batches import MeanLosses, joined, variances_over
from models.bases.optimizers import load_optimizer, make_optimizer, set_learning_rate
from models.bases.recorded import RecordedSteps, can_record
from models.bases.schedule import learning_rate_share
from models.bases.settings import TrainingSettings
from models.interface import Model, Seeds, Shape
from models.networks.architecture import Decoder, Trunk
from models.networks.frozen import frozen_network

SCORING_BATCH = 1024
STATISTICS_BATCHES = 32
"""Batches of an epoch whose statistics are those of averaged weights."""

Result = TypeVar("Result")


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


class GradientModel(Model):
    """A model of networks and optimisers.

    A subclass builds its networks in `build_networks`, names the networks that each
    optimiser moves in `optimized`, and gives `training_step`, `pass_through` and
    `batch_errors`.

    Where weights are averaged, `networks` are those that are trained while it trains, and
    the averaged ones while it scores.
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
        self._average = (
            None if training.average is None else AveragedNetworks(self.networks, training.average)
        )
        if training.compile:
            for module in [*self.networks.modules(), *self.scored.modules()]:
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
        self._augmentation = torch.Generator().manual_seed(seeds.augmentation)
        self._updates = 0
        self.trained_share = 0.0
        """Share of a whole training's updates that came before the one that is made."""
        optimizers = self.optimizers.values()
        self._recorded = (
            RecordedSteps(self.training_step, optimizers, [self._noise])
            if can_record(device, optimizers)
            else None
        )

    @abstractmethod
    def build_networks(self) -> dict[str, nn.Module]:
        """Return the networks by name, on the CPU."""

    @abstractmethod
    def training_step(self, x: Tensor) -> dict[str, Tensor]:
        """Update the weights on one batch; return its losses as detached scalars."""

    def step_form(self) -> tuple[Hashable, ...]:
        """Return the host's numbers that a training step depends on: recordings repeat them.

        The learning rate is not among them: optimisers read it from the device.
        """
        return ()

    @abstractmethod
    def pass_through(self, x: Tensor) -> None:
        """Run a batch through all networks as a training step does, and update nothing."""

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
        means = MeanLosses()
        batches = self.shuffled_batches(members)
        for index in batches:
            self._begin_update(self.training.epochs * len(batches))
            means.add(self._step_on(self._augmented(samples[index])), len(index))
            self._updates += 1
            if self._average:
                self._average.update(self._updates)
            self.on_progress()
        if self._average:
            self._measure_statistics(samples[index] for index in batches[:STATISTICS_BATCHES])
        return means.by_name()

    def _step_on(self, x: Tensor) -> dict[str, Tensor]:
        """Make a training step, from a recording where there is one."""
        return self._recorded(x, self.step_form()) if self._recorded else self.training_step(x)

    def _begin_update(self, updates: int) -> None:
        """Set what depends on how many of a training's updates came before."""
        self.trained_share = min(self._updates / updates, 1.0)
        share = learning_rate_share(self.training, self._updates, updates)
        for optimizer in self.optimizers.values():
            set_learning_rate(optimizer, share * self.training.optimizer.learning_rate)

    def _augmented(self, x: Tensor) -> Tensor:
        if self.training.time_warp:
            x = time_warped(x, self.training.time_warp, self._augmentation)
        if self.training.amplitude:
            x = stretched(x, self.training.amplitude, self._augmentation)
        return x

    @torch.no_grad()
    def _measure_statistics(self, batches: Iterable[Tensor]) -> None:
        """Give the averaged networks what belongs to their weights; see `AveragedNetworks`."""
        assert self._average
        self._average.forget_statistics()
        with self._in_place_of_trained(training=True):
            for batch in batches:
                self.pass_through(batch)

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
        with self._in_place_of_trained(training=False), nn.utils.parametrize.cached():
            results = []
            for batch in torch.split(rows, SCORING_BATCH):  # (n, ...) -> (batch, ...), ...
                results.append(function(batch))
                self.on_progress()
            return results

    @contextlib.contextmanager
    def _in_place_of_trained(self, *, training: bool) -> Iterator[None]:
        """Let `networks` be those that score; training's stream of noise stands still."""
        noise, trained, scored = self._noise.get_state(), self.networks, self.scored
        changed = scored.training != training
        if changed:
            scored.train(training)
        self.networks = scored
        try:
            yield
        finally:
            self.networks = trained
            if changed:
                scored.train(not training)
            self._noise.set_state(noise)

    @property
    def scored(self) -> nn.ModuleDict:
        """The networks that samples are scored with."""
        return self._average.networks if self._average else self.networks

    def freeze(self) -> None:
        """See `Model.freeze`."""
        self.networks = nn.ModuleDict(
            {name: frozen_network(each, self.dtype) for name, each in self.scored.items()}
        ).eval()
        self._average = None

    def weights(self) -> dict[str, Tensor]:
        """See `Model.weights`; parameters, batch norm statistics, spectral norm vectors."""
        return _copied(self.scored)

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """See `Model.load_weights`."""
        self.scored.load_state_dict(weights)

    def state(self) -> dict[str, Any]:
        """See `Model.state`: weights, their average, optimisers, streams of randomness."""
        return {
            "updates": self._updates,
            "weights": _copied(self.networks),
            "average": self.weights() if self._average else {},
            "optimizers": {
                name: copy.deepcopy(optimizer.state_dict())
                for name, optimizer in self.optimizers.items()
            },
            **{name: stream.get_state() for name, stream in self._streams.items()},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """See `Model.load_state`."""
        self._updates = state["updates"]
        self.networks.load_state_dict(state["weights"])
        if self._average:
            self.load_weights(state["average"])
        for name, optimizer in self.optimizers.items():
            load_optimizer(optimizer, state["optimizers"][name])
        for name, stream in self._streams.items():
            stream.set_state(state[name].cpu())
        if self._recorded:
            self._recorded.forget()

    @property
    def _streams(self) -> dict[str, torch.Generator]:
        return {
            "batches": self._batches,
            "noise": self._noise,
            "augmentation": self._augmentation,
        }


def _copied(networks: nn.Module) -> dict[str, Tensor]:
    """Return copies of all parameters and buffers, by name."""
    return {
        name: value.detach().to("cpu", copy=True).contiguous()
        for name, value in networks.state_dict().items()
    }

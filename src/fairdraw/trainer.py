"""One training step for any number of players: each update is descended before the model is asked for the next."""

import copy
import math
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fairdraw.config import Training
from fairdraw.errors import InputError
from fairdraw.images import to_signed
from fairdraw.model import Batch, Clock, Model, Update
from fairdraw.noise import Noise
from fairdraw.parallel import Processes

AVERAGE_RAMP = 0.05
"""The half-life of the averaged weights is at most this share of the images seen, so that it forgets the start."""


class Trainer:
    """One model, its players' optimizers, its averaged weights, and the clock.

    Drive it from a loop of your own if `fairdraw.train` is not the loop you need:

        trainer = Trainer(model, training, launch(Runtime(), training.precision))
        trainer.step({"image": images[trainer.share]})

    Args:
        model: is moved to the device and precision of `processes`.
        training: batch size, schedule, half-life, seed.
        processes: of `parallel.launch`.
        micro_batches: parts of each process's share of a batch, advanced in lockstep through the updates. The graph
            of a draw that two players share is kept for each part, so memory falls less than in proportion.
        compile: compile the networks in place; the names of the weights stay as they are.

    Raises:
        InputError: when the batch cannot be divided into that many equal parts.
    """

    def __init__(
        self, model: Model, training: Training, processes: Processes, micro_batches: int = 1, compile: bool = False
    ) -> None:
        self.model = model.to(device=processes.device, dtype=processes.dtype)
        self.model.to(memory_format=model.memory_format)  # type: ignore[call-overload]
        self.training, self.processes, self.micro_batches = training, processes, micro_batches
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.players = self.model.players()
        self.optimizers = {name: p.optimizer.build(list(p.parameters)) for name, p in self.players.items()}
        self._floats, self._counters = zip(_tensors(self.average), _tensors(self.model), strict=True)
        self.images = self.steps = 0
        self.stage = model.stage(0)
        self.rate_factor = self.last_rate = 1.0
        self.gradient_norm: dict[str, float] = {}
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        _check_parts(training.batch, self._parts_of_a_batch)
        if training.batch // self._parts_of_a_batch < model.fewest:
            raise InputError(
                f"--batch {training.batch} in {self._parts_of_a_batch} parts leaves one image to each, which has no "
                "batch statistics: choose a larger --batch or fewer --micro-batches"
            )
        if compile:
            # The compiler itself looks at it, of images that come from another network.
            warnings.filterwarnings("ignore", message="The .grad attribute of a Tensor that is not a leaf")
            for network in self.model.children():
                network.compile()

    @property
    def batch(self) -> int:
        """Images of the next step, over all processes: as many as the model takes now, in equal parts."""
        return self._part * self._parts_of_a_batch

    @property
    def share(self) -> slice:
        """This process's rows of the next step's global batch."""
        rows = self._part * self.micro_batches
        return slice(self.processes.rank * rows, (self.processes.rank + 1) * rows)

    def step(self, batch: Batch, measure: bool = False) -> None:
        """One step of the algorithm on this process's share of the batch; advances the clock by the whole batch.

        Args:
            batch: `image` `[share, C, H, W]`, uint8 or in [-1, 1], and whatever else the model asks for.
            measure: keep the 2-norm of each player's gradient in `gradient_norm`.
        """
        self.model.train()
        # For layers that draw from torch's own generator, such as dropout: they then resume exactly as well.
        self.processes.seed(_mix(self.training.seed, self.images, self.processes.rank))
        self._enter(self.model.stage(self.images))
        batch_size, self.last_rate = self.batch, self.learning_rate(self.images)
        moves = [self.model.updates(part, self._clock(start)) for start, part in self._parts(batch)]
        while player := self._backward(moves):
            self._descend(player, measure)
        for steering in self.model.steering():
            steering.copy_(self.processes.mean(steering))
        self.images += batch_size
        self.steps += 1
        self._average_weights(batch_size)

    def learning_rate(self, images: int) -> float:
        """The factor on every player's learning rate after `images`: warm-up, schedule, and any roll-back."""
        training = self.training
        progress = min(1.0, images / training.images)
        decay = {
            "constant": 1.0,
            "linear": 1 - progress,
            "half-linear": min(1.0, 2 - 2 * progress),
            "cosine": 0.5 + 0.5 * math.cos(math.pi * progress),
            "burda": _burda(progress),
        }
        warmup = min(1.0, (images + training.batch) / training.warmup_images) if training.warmup_images else 1.0
        return warmup * decay[training.schedule] * self.rate_factor

    def means(self) -> dict[str, float]:
        """Losses and logged values since the last `forget`, averaged over steps and processes."""
        return {
            name: float(self.processes.mean(total)) / self._counts[name] for name, total in sorted(self._sums.items())
        }

    def forget(self) -> None:
        """Start the means afresh."""
        self._sums, self._counts = {}, {}

    def healthy(self) -> bool:
        """Whether every loss since the last `forget` and every weight is finite, in all processes."""
        largest = torch.stack([p.detach().abs().max() for p in self.model.parameters()])
        finite = all(map(math.isfinite, self.means().values())) and bool(torch.isfinite(largest).all())
        return not self.processes.any(not finite)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and metadata from which `restore` goes on as if nothing had happened; all processes ask together."""
        names = {id(p): name for name, p in self.model.named_parameters()}
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        tensors |= {f"sum.{k}": self.processes.mean(v) for k, v in self._sums.items()}
        for name, value in self.model.memory().items():
            tensors |= {f"memory.{rank}.{name}": v for rank, v in enumerate(self.processes.gather(value))}
        for player, optimizer in self.optimizers.items():
            for p, entries in optimizer.state.items():
                tensors |= {f"optimizer.{player}.{names[id(p)]}.{k}": v for k, v in entries.items()}
        clock = {"images": self.images, "steps": self.steps, "stage": self.stage, "rate_factor": self.rate_factor}
        return tensors, {**clock, "counts": dict(self._counts)}

    def restore(self, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
        """Go back to a `state`."""
        device, parameters = self.processes.device, dict(self.model.named_parameters())
        self.model.load_state_dict(_below("model.", tensors))
        self.average.load_state_dict(_below("average.", tensors))
        self._sums = {name: value.to(device) for name, value in _below("sum.", tensors).items()}
        self._recall(_below("memory.", tensors))
        for player, optimizer in self.optimizers.items():
            saved = _below(f"optimizer.{player}.", tensors)
            optimizer.state.clear()
            for key, value in saved.items():
                name, _, entry = key.rpartition(".")
                p = parameters[name]
                # In the parameter's own memory layout: the fused kernel reads both in the order of their memory.
                like = p if value.shape == p.shape else value
                optimizer.state[p][entry] = torch.empty_like(like, dtype=value.dtype, device=device).copy_(value)
        self.images, self.steps, self.stage = metadata["images"], metadata["steps"], metadata["stage"]
        self.rate_factor = metadata["rate_factor"]
        self._counts = dict(metadata["counts"])

    def _recall(self, memories: Mapping[str, Tensor]) -> None:
        """Give this process its own of the memories; where there were fewer processes, one of another."""
        saved = len({name.partition(".")[0] for name in memories})
        mine = _below(f"{self.processes.rank % max(1, saved)}.", memories)
        self.model.recall({name: value.to(self.processes.device) for name, value in mine.items()})

    @property
    def _parts_of_a_batch(self) -> int:
        return self.processes.count * self.micro_batches

    @property
    def _part(self) -> int:
        """Images of a part of the next batch."""
        return max(1, self.model.batch(self.images, self.training.batch) // self._parts_of_a_batch)

    def _enter(self, stage: int) -> None:
        """At a new stage of the training every optimizer forgets what it knew."""
        if stage != self.stage:
            for optimizer in self.optimizers.values():
                optimizer.state.clear()
        self.stage = stage

    def _parts(self, batch: Batch) -> Iterator[tuple[int, dict[str, Tensor]]]:
        """The first row within the global batch and the content of each micro-batch."""
        moved = {name: value.to(self.processes.device, non_blocking=True) for name, value in batch.items()}
        for name in moved.keys() & {"image", "input"}:
            images = moved[name]
            if images.dtype == torch.uint8:
                images = to_signed(images, self.processes.dtype)
            moved[name] = images.contiguous(memory_format=self.model.memory_format)
        for start in range(0, self._part * self.micro_batches, self._part):
            rows = {name: value[start : start + self._part] for name, value in moved.items()}
            yield self.share.start + start, rows

    def _clock(self, start: int) -> Clock:
        p = self.processes
        noise = Noise(self.training.seed, self._part, self.images + start, "train", p.device, p.dtype)
        return Clock(self.images, self.training.images, noise, self.steps)

    def _backward(self, moves: list[Iterator[Update]]) -> str | None:
        """Ask every micro-batch for its next update and add up the gradients; the player's name, None at the end."""
        players = {self._backward_one(move, 1 / len(moves)) for move in moves}
        assert len(players) == 1, f"micro-batches must yield the same players in the same order, not {players}"
        return players.pop()

    def _backward_one(self, move: Iterator[Update], weight: float) -> str | None:
        with self.processes.autocast():
            update = next(move, None)
        if update is None:
            return None
        # Only this player's gradients: the others' would be wasted work and would leak into their next move.
        torch.autograd.backward(update.loss * weight, inputs=self.players[update.player].parameters)
        self._add(f"loss/{update.player}", update.loss)
        for name, value in update.log.items():
            self._add(name, value)
        return update.player

    def _descend(self, player: str, measure: bool) -> None:
        parameters = self.players[player].parameters
        self.processes.average_gradients(parameters)
        optimizer = self.optimizers[player]
        settings = self.players[player].optimizer.settings(self.images)
        for group in optimizer.param_groups:
            group |= settings | {"lr": settings["lr"] * self.last_rate}
        if measure:
            norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
            self.gradient_norm[player] = float(norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def _average_weights(self, images: int) -> None:
        half_life = min(self.training.average_half_life, AVERAGE_RAMP * self.images)
        beta = 0.5 ** (images / half_life) if half_life else 0.0
        with torch.no_grad():
            torch._foreach_lerp_(*self._floats, 1 - beta)
            for average, value in zip(*self._counters, strict=True):
                average.copy_(value)

    def _add(self, name: str, value: Tensor) -> None:
        value = value.detach().double() if value.device.type != "mps" else value.detach()
        self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._counts[name] = self._counts.get(name, 0) + 1


def _tensors(model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """What is averaged and what is copied, such as the counters of batch normalisation.

    Buffers are averaged too: running statistics of other weights than the averaged ones would spoil the samples.
    """
    both = [*model.parameters(), *model.buffers()]
    return [t for t in both if t.is_floating_point()], [t for t in both if not t.is_floating_point()]


def _check_parts(batch: int, parts: int) -> None:
    if batch % parts:
        raise InputError(
            f"--batch {batch} cannot be divided into {parts} equal parts, one for each micro-batch of each process: "
            f"choose a multiple of {parts}"
        )


def _burda(progress: float) -> float:
    """The factor of step i = 0 ... 7, which lasts 3^i of 3280 parts of the training (Burda 2016, section 5.1)."""
    step = next(i for i in range(8) if progress * 3280 < (3 ** (i + 1) - 1) / 2 or i == 7)
    return round(10 ** (1 - step / 7), 1) / 10


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _mix(*numbers: int) -> int:
    return int(np.random.SeedSequence([n % 2**64 for n in numbers]).generate_state(1, np.uint64)[0] >> 1)

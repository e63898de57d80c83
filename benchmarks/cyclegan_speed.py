"""Steps/s of CycleGAN at 256 px, batch 1, beside the loop that reference repositories write for the same networks.

    python benchmarks/cyclegan_speed.py [--size N] [--steps N] [--rounds N] [--threads N]

The plain loop is float32 in torch's usual memory layout: each image passes through each network by itself, one Adam for
both generators and one for both discriminators, pools of 50 images, losses read after each step. Its first losses agree
with fairdraw's for the same weights and images, without jitter.
"""

from fairdraw.launcher import share_the_machine

share_the_machine()

import random  # noqa: E402
from collections.abc import Callable  # noqa: E402
from itertools import chain  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
import tyro  # noqa: E402
from our_training import PRECISIONS, OurTraining  # noqa: E402
from side_by_side import compare  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from fairdraw import CycleGAN, CycleGANConfig, Noise  # noqa: E402
from fairdraw.model import Clock  # noqa: E402
from fairdraw.nets.patch import patch_network  # noqa: E402
from fairdraw.nets.pyramid import initialise  # noqa: E402
from fairdraw.nets.resnet import resnet  # noqa: E402

POOL = 50


def against(logits: Tensor, target: float) -> Tensor:
    return F.mse_loss(logits, torch.full_like(logits, target))


class PlainTraining:
    """The usual loop: both generators, then both discriminators."""

    def __init__(self, size: int, images: tuple[Tensor, Tensor]) -> None:
        blocks = 9 if size >= 256 else 6
        self.to_b, self.to_a = (resnet(3, 64, blocks).apply(initialise) for _ in range(2))
        self.judge_b, self.judge_a = (patch_network(3, 64, 3, "instance").apply(initialise) for _ in range(2))
        generators = chain(self.to_b.parameters(), self.to_a.parameters())
        judges = chain(self.judge_b.parameters(), self.judge_a.parameters())
        self.of_g, self.of_d = (torch.optim.Adam(given, 2e-4, (0.5, 0.999)) for given in (generators, judges))
        self.images = images
        self.past: tuple[list[Tensor], list[Tensor]] = ([], [])

    def losses(self) -> tuple[float, float]:
        """A step; returns the losses of the generators and of the discriminators."""
        a, b = (image.float() / 127.5 - 1 for image in self.images)
        fake_b, fake_a = self.to_b(a), self.to_a(b)
        for judge in (self.judge_a, self.judge_b):
            judge.requires_grad_(False)
        self.of_g.zero_grad()
        identity = F.l1_loss(self.to_b(b), b) + F.l1_loss(self.to_a(a), a)
        game = against(self.judge_b(fake_b), 1) + against(self.judge_a(fake_a), 1)
        cycle = F.l1_loss(self.to_a(fake_b), a) + F.l1_loss(self.to_b(fake_a), b)
        of_g = game + 10 * cycle + 5 * identity
        of_g.backward()
        self.of_g.step()
        for judge in (self.judge_a, self.judge_b):
            judge.requires_grad_(True)
        self.of_d.zero_grad()
        total = 0.0
        sides = (self.judge_b, b, fake_b, self.past[1]), (self.judge_a, a, fake_a, self.past[0])
        for judge, real, fake, past in sides:
            loss = (against(judge(real), 1) + against(judge(exchanged(fake.detach(), past)), 0)) / 2
            loss.backward()
            total += float(loss.detach())
        self.of_d.step()
        return float(of_g.detach()), total

    def run(self, steps: int) -> int:
        for _ in range(steps):
            self.losses()
        return steps


def exchanged(image: Tensor, past: list[Tensor]) -> Tensor:
    if len(past) < POOL:
        past.append(image.clone())
    elif random.random() < 0.5:
        place = random.randrange(POOL)
        image, past[place] = past[place], image.clone()
    return image


def check_losses(size: int, images: tuple[Tensor, Tensor]) -> None:
    """Both compute the same losses of the same weights; of fairdraw's discriminators before the generators move."""
    plain = PlainTraining(size, images)
    model = CycleGAN(CycleGANConfig(enlarge=1, mirror=False), (3, size, size))
    pairs: tuple[tuple[nn.Module, nn.Module], ...] = (
        (model.to_b, plain.to_b),
        (model.to_a, plain.to_a),
        (model.discriminator_b, plain.judge_b),
        (model.discriminator_a, plain.judge_a),
    )
    for ours, theirs in pairs:
        ours.load_state_dict(theirs.state_dict())
    batch = {"input": images[0].float() / 127.5 - 1, "image": images[1].float() / 127.5 - 1}
    found = [float(update.loss.detach()) for update in model.updates(batch, Clock(0, 1, Noise(0, 1)))]
    expected = plain.losses()
    print(f"first losses: plain {expected[0]:.6f} {expected[1]:.6f}, fairdraw {found[0]:.6f} {found[1]:.6f}")
    assert np.allclose(found, expected, rtol=1e-4)


def main(size: int = 256, steps: int = 1, rounds: int = 3, threads: int | None = None) -> None:
    if threads:
        torch.set_num_threads(threads)
    print(f"{size} px, batch 1, {torch.get_num_threads()} threads, torch {torch.__version__}")
    generator = np.random.default_rng(0)
    images = tuple(torch.from_numpy(generator.integers(0, 256, (1, 3, size, size), dtype=np.uint8)) for _ in range(2))
    pair = images[0], images[1]
    check_losses(size, pair)
    plain = PlainTraining(size, pair)
    ways: dict[str, Callable[[], int]] = {"plain loop, fp32": lambda: plain.run(steps)}
    for precision in PRECISIONS:
        model = CycleGAN(CycleGANConfig(), (3, size, size))
        ours = OurTraining(model, {"input": pair[0], "image": pair[1]}, precision)
        ways[f"fairdraw, {precision}"] = lambda ours=ours: ours.run(steps)
    compare(ways, rounds, digits=3)


if __name__ == "__main__":
    tyro.cli(main)

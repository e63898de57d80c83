"""Images/s of progressive growing at the paper's channels, once a size is reached, beside a plain implementation.

    python benchmarks/progressive_speed.py [--sizes 32 64 128] [--steps N] [--rounds N] [--threads N]

Both train networks of the full channel table (512 at 4 to 32 px, then half as many at each size) with WGAN-GP, batches
of 4. The plain loop is the usual one: equalised layers that scale what they give, float32, G run anew for its own step.
"""

from fairdraw.launcher import share_the_machine

share_the_machine()

import copy  # noqa: E402
from collections.abc import Callable  # noqa: E402
from dataclasses import replace  # noqa: E402
from itertools import pairwise  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
import tyro  # noqa: E402
from side_by_side import compare  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from training_speed import Ours  # noqa: E402

from fairdraw import Progressive, ProgressiveConfig  # noqa: E402

BATCH, LATENT = 4, 512
CONFIG = replace(ProgressiveConfig(), growth="none", batches=(BATCH,))


class Scaled(nn.Module):
    """A layer whose output is scaled to an equalised learning rate, before its bias."""

    def __init__(self, layer: nn.Conv2d | nn.Linear, gain: float = 2**0.5) -> None:
        super().__init__()
        nn.init.normal_(layer.weight)
        self.layer, self.scale = layer, gain / layer.weight[0].numel() ** 0.5
        self.bias = nn.Parameter(torch.zeros(len(layer.weight), *[1] * (layer.weight.dim() - 2)))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) * self.scale + self.bias


class PixelNorm(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


class Deviation(nn.Module):
    """One more channel with the standard deviation over the batch."""

    def forward(self, x: Tensor) -> Tensor:
        deviation = (x.var(0, unbiased=False) + 1e-8).sqrt().mean()
        return torch.cat([x, deviation.expand(len(x), 1, *x.shape[2:])], 1)


def convolution(fan_in: int, fan_out: int, kernel: int = 3, gain: float = 2**0.5) -> Scaled:
    return Scaled(nn.Conv2d(fan_in, fan_out, kernel, padding=kernel // 2, bias=False), gain)


def plain_networks(size: int, colours: int = 3) -> tuple[nn.Sequential, nn.Sequential]:
    channels = [CONFIG.channels(level) for level in range(size.bit_length() - 2)]
    act = [nn.LeakyReLU(0.2), PixelNorm()]
    dense = Scaled(nn.Linear(LATENT, channels[0] * 16, bias=False), 2**0.5 / 4)
    g: list[nn.Module] = [PixelNorm(), dense, nn.Unflatten(1, (channels[0], 4, 4)), *act]
    g += [convolution(channels[0], channels[0]), *act]
    d: list[nn.Module] = [convolution(colours, channels[-1], 1), nn.LeakyReLU(0.2)]
    for a, b in pairwise(channels):
        g += [nn.Upsample(scale_factor=2), convolution(a, b), *act, convolution(b, b), *act]
    for b, a in pairwise(channels[::-1]):
        d += [convolution(b, b), nn.LeakyReLU(0.2), convolution(b, a), nn.LeakyReLU(0.2), nn.AvgPool2d(2)]
    g.append(convolution(channels[-1], colours, 1, 1.0))
    d += [Deviation(), convolution(channels[0] + 1, channels[0]), nn.LeakyReLU(0.2), nn.Flatten()]
    d += [Scaled(nn.Linear(channels[0] * 16, channels[0], bias=False)), nn.LeakyReLU(0.2)]
    return nn.Sequential(*g), nn.Sequential(*d, Scaled(nn.Linear(channels[0], 1, bias=False), 1.0))


class PlainTraining:
    """The usual WGAN-GP loop with two Adams, and a running average of G."""

    def __init__(self, size: int, images: np.ndarray) -> None:
        self.generator, self.critic = plain_networks(size)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.images = images
        networks = (self.generator, self.critic)
        self.of_g, self.of_d = (torch.optim.Adam(n.parameters(), 1e-3, (0.0, 0.99)) for n in networks)

    def run(self, steps: int) -> int:
        for _ in range(steps):
            real = torch.from_numpy(self.images[:BATCH]).float() / 127.5 - 1
            self.of_d.zero_grad()
            fake = self.generator(torch.randn(BATCH, LATENT)).detach()
            real_scores = self.critic(real)
            loss = self.critic(fake).mean() - real_scores.mean() + 0.001 * real_scores.square().mean()
            loss.backward()
            mixed = torch.lerp(real, fake, torch.rand(BATCH, 1, 1, 1)).requires_grad_()
            (slope,) = torch.autograd.grad(self.critic(mixed).sum(), mixed, create_graph=True)
            (10 * (slope.flatten(1).norm(dim=1) - 1).square().mean()).backward()
            self.of_d.step()

            self.of_g.zero_grad()
            loss = -self.critic(self.generator(torch.randn(BATCH, LATENT))).mean()
            loss.backward()
            self.of_g.step()
            with torch.no_grad():
                for average, now in zip(self.average.parameters(), self.generator.parameters(), strict=True):
                    average.mul_(0.999).add_(now, alpha=0.001)
            loss.item()
        return steps * BATCH


def main(sizes: tuple[int, ...] = (32, 64, 128), steps: int = 2, rounds: int = 3, threads: int | None = None) -> None:
    if threads:
        torch.set_num_threads(threads)
    for size in sizes:
        print(f"{size} px, batch {BATCH}, {torch.get_num_threads()} threads, torch {torch.__version__}")
        images = np.random.default_rng(0).integers(0, 256, (64, 3, size, size), dtype=np.uint8)
        plain = PlainTraining(size, images)
        ways: dict[str, Callable[[], int]] = {"plain loop, fp32": lambda plain=plain: plain.run(steps)}
        for precision in ("fp32", "bf16"):
            ours = Ours(Progressive(CONFIG, (3, size, size)), BATCH, precision, images)
            count = sum(p.numel() for p in ours.trainer.model.parameters())
            theirs = sum(p.numel() for n in (plain.generator, plain.critic) for p in n.parameters())
            assert abs(count - theirs) < 0.001 * theirs, f"{count} and {theirs} parameters"
            ways[f"fairdraw, {precision}"] = lambda ours=ours: ours.run(steps)
        compare(ways, rounds, digits=2)


if __name__ == "__main__":
    tyro.cli(main)

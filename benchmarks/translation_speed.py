"""Steps/s of pix2pix at 256 px, batch 1, beside the loop that reference repositories write for the same networks.

    python benchmarks/translation_speed.py [--size N] [--steps N] [--rounds N] [--threads N]

The plain loop is float32 in torch's usual memory layout: a recursive U-Net with batch normalisation, a PatchGAN of 70
px, two Adams, `requires_grad` switched for D, losses read after each step. Its first losses agree with fairdraw's for
the same weights and images, without dropout and jitter.
"""

from fairdraw.launcher import share_the_machine

share_the_machine()

from collections.abc import Callable  # noqa: E402
from dataclasses import replace  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
import tyro  # noqa: E402
from our_training import PRECISIONS, OurTraining  # noqa: E402
from side_by_side import compare  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from fairdraw import Noise, Pix2Pix, Pix2PixConfig  # noqa: E402
from fairdraw.model import Clock  # noqa: E402
from fairdraw.nets.patch import patch_network  # noqa: E402
from fairdraw.nets.pyramid import initialise  # noqa: E402


class Block(nn.Module):
    """A halving, what is inside of it, a doubling, and the way around."""

    def __init__(self, outer: int, inner: int, inside: "Block | None", drop: bool, outermost: bool = False) -> None:
        super().__init__()
        channels = 3 if outermost else outer
        down: list[nn.Module] = [] if outermost else [nn.LeakyReLU(0.2)]
        down.append(nn.Conv2d(channels, inner, 4, 2, 1, bias=False))
        if inside is not None and not outermost:
            down.append(nn.BatchNorm2d(inner))
        joined = inner if inside is None else 2 * inner
        up: list[nn.Module] = [nn.ReLU(), nn.ConvTranspose2d(joined, channels, 4, 2, 1, bias=outermost)]
        up += [nn.Tanh()] if outermost else [nn.BatchNorm2d(outer)]
        up += [nn.Dropout(0.5)] if drop else []
        self.body = nn.Sequential(*down, *([] if inside is None else [inside]), *up)
        self.outermost = outermost

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) if self.outermost else torch.cat([self.body(x), x], 1)


def plain_generator(size: int, drop: bool) -> Block:
    depth = min(8, size.bit_length() - 1)
    widths = [min(64 << k, 512) for k in range(depth)]
    block: Block | None = None
    for k in reversed(range(1, depth)):
        block = Block(widths[k - 1], widths[k], block, drop and depth - 4 <= k)
    return Block(3, widths[0], block, False, outermost=True)


class PlainTraining:
    """The usual loop: D, then G, with D's parameters frozen meanwhile."""

    def __init__(self, size: int, images: tuple[Tensor, Tensor], drop: bool = True) -> None:
        self.generator = plain_generator(size, drop).apply(initialise)
        self.discriminator = patch_network(6, 64, 3, "batch").apply(initialise)
        networks = (self.generator, self.discriminator)
        self.of_g, self.of_d = (torch.optim.Adam(n.parameters(), 2e-4, (0.5, 0.999)) for n in networks)
        self.images = images

    def losses(self) -> tuple[float, float]:
        """A step; returns the losses of D and of G."""
        x, y = (image.float() / 127.5 - 1 for image in self.images)
        fake = self.generator(x)
        self.discriminator.requires_grad_(True)
        self.of_d.zero_grad()
        real_logits = self.discriminator(torch.cat([x, y], 1))
        fake_logits = self.discriminator(torch.cat([x, fake.detach()], 1))
        ones, zeros = torch.ones_like(real_logits), torch.zeros_like(real_logits)
        of_d = F.binary_cross_entropy_with_logits(real_logits, ones)
        of_d = of_d + F.binary_cross_entropy_with_logits(fake_logits, zeros)
        of_d.backward()
        self.of_d.step()
        self.discriminator.requires_grad_(False)
        self.of_g.zero_grad()
        logits = self.discriminator(torch.cat([x, fake], 1))
        of_g = F.binary_cross_entropy_with_logits(logits, ones) + 100 * F.l1_loss(fake, y)
        of_g.backward()
        self.of_g.step()
        return float(of_d.detach()), float(of_g.detach())

    def run(self, steps: int) -> int:
        for _ in range(steps):
            self.losses()
        return steps


def check_losses(size: int, images: tuple[Tensor, Tensor]) -> None:
    """Both compute the same losses of the same weights."""
    plain = PlainTraining(size, images, drop=False)
    model = Pix2Pix(replace(Pix2PixConfig(), dropout=0, enlarge=1, mirror=False), (3, size, size))
    encoder, decoder, block = list(model.generator.encoder), list(model.generator.decoder), plain.generator
    for down, up in zip(encoder, decoder[::-1], strict=True):
        own = [layer for layer in block.body if not isinstance(layer, Block)]
        theirs = [layer for layer in own if len(list(layer.parameters()))]
        for into, source in zip([*down, *up], theirs, strict=True):
            into.load_state_dict(source.state_dict(), strict=False)
        block = next((layer for layer in block.body if isinstance(layer, Block)), block)
    assert model.discriminator is not None
    model.discriminator.load_state_dict(plain.discriminator.state_dict())
    batch = {"input": images[0].float() / 127.5 - 1, "image": images[1].float() / 127.5 - 1}
    ours = float(next(model.updates(batch, Clock(0, 1, Noise(0, 1)))).loss.detach())
    theirs_too, _ = plain.losses()
    print(f"D's first loss: plain {theirs_too:.6f}, fairdraw {ours:.6f}")
    assert abs(ours - theirs_too) < 1e-4 * theirs_too


def main(size: int = 256, steps: int = 2, rounds: int = 3, threads: int | None = None) -> None:
    if threads:
        torch.set_num_threads(threads)
    print(f"{size} px, batch 1, {torch.get_num_threads()} threads, torch {torch.__version__}")
    generator = np.random.default_rng(0)
    images = tuple(torch.from_numpy(generator.integers(0, 256, (1, 3, size, size), dtype=np.uint8)) for _ in range(2))
    pair = images[0], images[1]
    check_losses(size, pair)
    plain = PlainTraining(size, pair)
    ways: dict[str, Callable[[], int]] = {"plain loop, fp32": lambda: plain.run(steps)}
    batch = {"input": images[0], "image": images[1]}
    for precision in PRECISIONS:
        ours = OurTraining(Pix2Pix(Pix2PixConfig(), (3, size, size)), batch, precision)
        ways[f"fairdraw, {precision}"] = lambda ours=ours: ours.run(steps)
    compare(ways, rounds, digits=2)


if __name__ == "__main__":
    tyro.cli(main)

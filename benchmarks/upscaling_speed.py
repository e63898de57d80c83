"""SRResNet beside the plain loop for the same network: crops/s of training by pixels, images/s of enlarging by 4.

    python benchmarks/upscaling_speed.py [--batch N] [--side N] [--steps N] [--rounds N] [--threads N]

The plain loop is float32 in torch's usual memory layout, on crops of 96 px that are ready beside their small ones, one
Adam, losses read after each step. fairdraw's step also cuts, turns and makes them small. The first losses of the same
weights agree on the same crops. Enlarging is of one image of `side` px to uint8.
"""

from fairdraw.launcher import share_the_machine

share_the_machine()

from collections.abc import Callable  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
import tyro  # noqa: E402
from our_training import PRECISIONS, OurTraining  # noqa: E402
from side_by_side import compare  # noqa: E402
from torch import Tensor  # noqa: E402

from fairdraw import SRGAN, Noise, SRGANConfig  # noqa: E402
from fairdraw.images import to_uint8  # noqa: E402
from fairdraw.model import Clock  # noqa: E402
from fairdraw.models.srgan import crops, small  # noqa: E402
from fairdraw.nets.upscaling import srresnet  # noqa: E402
from fairdraw.tiling import upscaling  # noqa: E402

CROP, FACTOR = 96, 4
CONFIG = SRGANConfig(mse_images=None, crop=CROP)


class PlainTraining:
    """The usual loop."""

    def __init__(self, images: Tensor) -> None:
        self.generator = srresnet(3, 64, 16, FACTOR, True, "none")
        self.optimizer = torch.optim.Adam(self.generator.parameters(), 1e-4)
        self.large = images.float() / 127.5 - 1
        self.small = small(self.large, FACTOR)

    def loss(self) -> float:
        """Of a step."""
        self.optimizer.zero_grad()
        loss = F.mse_loss(self.generator(self.small), self.large)
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())

    def run(self, steps: int) -> int:
        for _ in range(steps):
            self.loss()
        return steps * len(self.large)


def check_losses(images: Tensor) -> None:
    """Both compute the same loss of the same weights and crops."""
    model = SRGAN(CONFIG, (3, CROP, CROP))
    signed = images.float() / 127.5 - 1
    plain = PlainTraining(images)
    plain.large = crops(signed, CROP, Noise(0, len(images)))
    plain.small = small(plain.large, FACTOR)
    model.generator.load_state_dict(plain.generator.state_dict())
    ours = float(next(model.updates({"image": signed}, Clock(0, 1, Noise(0, len(images))))).loss.detach())
    theirs = plain.loss()
    print(f"first loss: plain {theirs:.6f}, fairdraw {ours:.6f}")
    assert abs(ours - theirs) < 1e-4 * theirs


def enlarging(image: np.ndarray) -> dict[str, Callable[[], int]]:
    """One image, enlarged plainly and as `fairdraw upscale` does it, by the same network."""
    generator = srresnet(3, 64, 16, FACTOR, True, "none").eval()

    @torch.inference_mode()
    def plain() -> int:
        return len(to_uint8(generator(torch.from_numpy(image[None]).float() / 255)))

    ways: dict[str, Callable[[], int]] = {"plain, fp32": plain}
    for precision in PRECISIONS:
        model = SRGAN(CONFIG, (3, CROP, CROP)).eval()
        model.generator.load_state_dict(generator.state_dict())
        tiled = upscaling(model, precision=precision)
        ways[f"fairdraw, {precision}"] = lambda tiled=tiled: len(tiled.of(image)[None])
    return ways


def main(batch: int = 16, side: int = 128, steps: int = 1, rounds: int = 3, threads: int | None = None) -> None:
    if threads:
        torch.set_num_threads(threads)
    print(f"crops of {CROP} px, batch {batch}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    generator = np.random.default_rng(0)
    images = torch.from_numpy(generator.integers(0, 256, (batch, 3, CROP, CROP), dtype=np.uint8))
    check_losses(images)
    plain = PlainTraining(images)
    ways: dict[str, Callable[[], int]] = {"plain loop, fp32": lambda: plain.run(steps)}
    for precision in PRECISIONS:
        ours = OurTraining(SRGAN(CONFIG, (3, CROP, CROP)), {"image": images}, precision)
        ways[f"fairdraw, {precision}"] = lambda ours=ours: ours.run(steps)
    compare(ways, rounds, digits=2)
    print(f"enlarging {side} px by {FACTOR}")
    compare(enlarging(generator.integers(0, 256, (3, side, side), dtype=np.uint8)), rounds, digits=2)


if __name__ == "__main__":
    tyro.cli(main)

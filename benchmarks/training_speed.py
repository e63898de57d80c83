"""Images/s of training, beside the plain loop that a user would write for the same network.

    python benchmarks/training_speed.py --workload vae|dcgan [--steps N] [--rounds N] [--threads N]

Both work through the same images (the bundled digits, tiled) with the same batch size and objective.
"""

from fairdraw.launcher import share_the_machine

share_the_machine()

import copy  # noqa: E402
from typing import Literal  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
import tyro  # noqa: E402
from reference import PlainGANTraining, PlainVAETraining  # noqa: E402
from side_by_side import compare  # noqa: E402

from fairdraw import DCGAN, VAE, DCGANConfig, Model, Runtime, Trainer, Training, VAEConfig, data  # noqa: E402
from fairdraw.order import positions  # noqa: E402
from fairdraw.parallel import launch  # noqa: E402


class Ours:
    """fairdraw's own step and order of the data, with the threads of the process, as the plain loop has."""

    def __init__(self, model: Model, batch: int, precision: Literal["fp32", "bf16"], images: np.ndarray) -> None:
        training = Training(images=10**9, batch=batch, precision=precision)
        self.trainer = Trainer(model, training, launch(Runtime(device="cpu"), precision))
        self.images = images

    def run(self, steps: int) -> int:
        batch = self.trainer.training.batch
        for step in range(steps):
            where = positions(0, self.trainer.images, batch, len(self.images))
            image = torch.from_numpy(self.images.take(where, axis=0))
            self.trainer.step({"image": image}, measure=step == 0)
        self.trainer.means()
        self.trainer.forget()
        return steps * batch


def main(
    workload: Literal["vae", "dcgan"], steps: int | None = None, rounds: int = 7, threads: int | None = None
) -> None:
    if threads:
        torch.set_num_threads(threads)
    size = {"vae": 28, "dcgan": 32}[workload]
    digits = data.open("digits", data.Options(size=size)).all
    images = np.tile(digits.images(np.arange(len(digits))), (12, 1, 1, 1))
    print(f"{workload}, {size} px, {torch.get_num_threads()} threads, torch {torch.__version__}")
    ways = {}
    if workload == "vae":
        steps = steps or 150
        plain = PlainVAETraining(images, 128, binarised=False)
        ways["plain loop, fp32"] = lambda: plain.run(steps)
        config = VAEConfig(hidden=(400,), activation="relu", targets="grey")
        for precision in ("fp32", "bf16"):
            ours = Ours(VAE(config, (1, size, size)), 128, precision, images)
            ways[f"fairdraw, {precision}"] = lambda ours=ours: ours.run(steps)
        binarised = Ours(VAE(VAEConfig(hidden=(400,), activation="relu"), (1, size, size)), 128, "fp32", images)
        ways["fairdraw, fp32, binarised anew"] = lambda: binarised.run(steps)
    else:
        steps = steps or 3
        model = DCGAN(DCGANConfig(), (1, size, size))
        networks = copy.deepcopy(model)
        plain_gan = PlainGANTraining(networks.generator, networks.discriminator, 100, images, 64)
        ways["plain loop, fp32"] = lambda: plain_gan.run(steps)
        for precision in ("fp32", "bf16"):
            ours = Ours(copy.deepcopy(model), 64, precision, images)
            ways[f"fairdraw, {precision}"] = lambda ours=ours: ours.run(steps)
    compare(ways, rounds)


if __name__ == "__main__":
    tyro.cli(main)

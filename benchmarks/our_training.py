"""fairdraw's own steps on one batch again and again, to stand beside a plain loop."""

from typing import Literal

from torch import Tensor

from fairdraw import Model, Runtime, Trainer, Training
from fairdraw.parallel import launch

Precision = Literal["fp32", "bf16"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")


class OurTraining:
    """The trainer, with the threads of the process; `batch` are uint8 images by their names."""

    def __init__(self, model: Model, batch: dict[str, Tensor], precision: Precision) -> None:
        self.images = len(batch["image"])
        training = Training(images=10**7, batch=self.images, precision=precision)
        self.trainer = Trainer(model, training, launch(Runtime(device="cpu"), precision))
        self.batch = batch

    def run(self, steps: int) -> int:
        """Returns how many images that were."""
        for _ in range(steps):
            self.trainer.step(self.batch)
        return steps * self.images

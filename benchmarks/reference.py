"""The loops that a user would write: a DataLoader that makes each image a float tensor, one step at a time."""

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset


class PlainImages(Dataset[Tensor]):
    """Images in memory, each through PIL and a float conversion at every visit, as an image folder's loader does."""

    def __init__(self, images: np.ndarray, signed: bool) -> None:
        self.images, self.signed = images, signed

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        image = self.images[index]
        picture = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
        array = np.array(picture, copy=True)
        tensor = torch.from_numpy(array[None] if array.ndim == 2 else array.transpose(2, 0, 1).copy())
        tensor = tensor.to(torch.float32).div(255)
        return (tensor - 0.5) / 0.5 if self.signed else tensor


class PlainVAE(nn.Module):
    """784-400-20-400-784 with a sigmoid at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc21, self.fc22 = nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20)
        self.fc3, self.fc4 = nn.Linear(20, 400), nn.Linear(400, 784)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hidden = F.relu(self.fc1(x.view(-1, 784)))
        mean, log_var = self.fc21(hidden), self.fc22(hidden)
        z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z)))), mean, log_var


class PlainVAETraining:
    """Trains `PlainVAE` by Adam at 1e-3; on grey targets unless `binarised`."""

    def __init__(self, images: np.ndarray, batch: int, binarised: bool, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.model, self.batch, self.binarised = PlainVAE(), batch, binarised
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        self.loader = DataLoader(PlainImages(images, signed=False), batch_size=batch, shuffle=True, drop_last=True)

    def run(self, steps: int) -> int:
        """Some steps, as many epochs as they need; returns the images seen."""
        self.model.train()
        done = 0
        total = 0.0
        while done < steps:
            for x in self.loader:
                target = torch.bernoulli(x) if self.binarised else x
                self.optimizer.zero_grad()
                image, mean, log_var = self.model(target)
                nll = F.binary_cross_entropy(image, target.view(-1, 784), reduction="sum")
                loss = nll - 0.5 * torch.sum(1 + log_var - mean.pow(2) - log_var.exp())
                loss.backward()
                total += loss.item()
                self.optimizer.step()
                done += 1
                if done == steps:
                    break
        return steps * self.batch


class PlainGANTraining:
    """Trains given networks by the usual two Adams with sigmoid cross-entropies and `.item()` at each step."""

    def __init__(
        self, generator: nn.Module, discriminator: nn.Module, latent: int, images: np.ndarray, batch: int
    ) -> None:
        self.generator, self.discriminator, self.latent, self.batch = generator, discriminator, latent, batch
        self.optimizers = [torch.optim.Adam(n.parameters(), 2e-4, (0.5, 0.999)) for n in (generator, discriminator)]
        self.loader = DataLoader(PlainImages(images, signed=True), batch_size=batch, shuffle=True, drop_last=True)

    def run(self, steps: int) -> int:
        """Some steps; returns the images seen."""
        done = 0
        losses = 0.0
        ones, zeros = torch.ones(self.batch, 1), torch.zeros(self.batch, 1)
        optimizer_g, optimizer_d = self.optimizers
        while done < steps:
            for real in self.loader:
                fake = self.generator(2 * torch.rand(self.batch, self.latent) - 1)
                optimizer_d.zero_grad()
                loss_real = F.binary_cross_entropy(torch.sigmoid(self.discriminator(real)), ones)
                loss_fake = F.binary_cross_entropy(torch.sigmoid(self.discriminator(fake.detach())), zeros)
                (loss_real + loss_fake).backward()
                optimizer_d.step()
                optimizer_g.zero_grad()
                loss_g = F.binary_cross_entropy(torch.sigmoid(self.discriminator(fake)), ones)
                loss_g.backward()
                optimizer_g.step()
                losses += loss_real.item() + loss_fake.item() + loss_g.item()
                done += 1
                if done == steps:
                    break
        return steps * self.batch

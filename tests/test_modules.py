"""Features by anybody's module: what it is given, what identifies it, and what is refused."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fairdraw import InputError
from fairdraw.metrics.modules import ModuleFeatures


class Means(nn.Module):
    """Of each channel; in train mode, noise."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.rand(len(x), 1) if self.training else self.scale * x.mean((2, 3))


def images(channels: int = 3, count: int = 70) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, channels, 8, 8), dtype=np.uint8)


def test_it_sees_images_between_minus_one_and_one_in_eval_mode() -> None:
    module = Means().train()
    found = ModuleFeatures(module, "means", chunk=16).of(images())
    assert found.dtype == np.float64
    assert found == pytest.approx(2 * (images().mean((2, 3)) / 127.5 - 1), abs=1e-6)
    assert module.training, "the module itself stays as it is"


def test_channels_and_size_are_brought_to_what_it_wants() -> None:
    assert ModuleFeatures(Means(), "means", channels=3).of(images(1)).shape == (70, 3)
    assert ModuleFeatures(Means(), "means", channels=1).of(images(4)).shape == (70, 1)
    seen: list[torch.Size] = []

    class Looks(Means):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x.shape)
            return super().forward(x)

    features = ModuleFeatures(Looks(), "looks", size=12)
    features.of(images(count=4))
    assert seen == [(4, 3, 12, 12)]
    assert features.resize.endswith("to 12 px")
    assert ModuleFeatures(Means(), "means").resize == "none"
    assert ModuleFeatures(Means(), "means", channels=1).resize == "none, 1 channel"


def test_the_fingerprint_is_that_of_the_weights() -> None:
    first, second = Means(), Means()
    assert ModuleFeatures(first, "a").sha256 == ModuleFeatures(second, "b").sha256
    features = ModuleFeatures(first, "a")
    before = features.sha256, features.of(images(count=2)).tolist()
    with torch.no_grad():
        first.scale.add_(1)
    assert ModuleFeatures(first, "a").sha256 != before[0]
    assert (features.sha256, features.of(images(count=2)).tolist()) == before, "a copy is used"


def test_the_fingerprint_tells_types_and_shapes_of_weights() -> None:
    first, second = nn.Linear(2, 3, bias=False), nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        second.weight.copy_(first.weight.reshape(2, 3))
    assert ModuleFeatures(first, "a").sha256 != ModuleFeatures(second, "a").sha256
    zeros = [nn.Linear(2, 3, bias=False).requires_grad_(False).to(kind) for kind in (torch.float32, torch.float64)]
    prints = {ModuleFeatures(module, "a").sha256 for module in zeros}
    assert len(prints) == 2


def test_the_identity_tells_other_code_with_the_same_weights() -> None:
    def features(act: nn.Module, **wants: Any) -> ModuleFeatures:
        return ModuleFeatures(nn.Sequential(act, nn.Flatten()), "a", **wants)

    first, some = features(nn.ReLU()), images(count=3)
    assert first.identity(some) == features(nn.ReLU()).identity(some)
    assert first.sha256 == features(nn.Tanh()).sha256, "they have no weights"
    assert first.identity(some) != features(nn.Tanh()).identity(some)
    assert first.identity(some) != features(nn.ReLU(), channels=1).identity(some)


def test_a_module_that_draws_is_refused() -> None:
    class Draws(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.rand(len(x), 4)

    with pytest.raises(InputError, match="a makes other numbers of the same images each time"):
        ModuleFeatures(Draws(), "a").identity(images(count=3))


def test_a_module_that_compares_the_images_of_a_batch_is_refused() -> None:
    class Centred(Means):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x - x.mean(0, keepdim=True))

    with pytest.raises(InputError, match="other numbers of an image beside other images"):
        ModuleFeatures(Centred(), "centred").identity(images(count=8))


class Odd(Means):
    """Its state is no tensor."""

    def get_extra_state(self) -> object:
        return {"no": "tensor"}

    def set_extra_state(self, state: object) -> None: ...


@pytest.mark.parametrize("module", [nn.LazyLinear(3), Odd(), len], ids=["lazy", "odd", "function"])
def test_what_is_no_module_with_weights_is_refused_by_name(module: Any) -> None:
    with pytest.raises(InputError, match=r"^features mine: [^\n]*$"):
        ModuleFeatures(module, "mine")


@pytest.mark.parametrize("name", ["inception", "Inception", "digits", "efficientnet-lite0", "pixels-pca64"])
def test_names_of_known_networks_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="give a name that no other network has"):
        ModuleFeatures(Means(), name)


@pytest.mark.parametrize("name", ["", " ", " mine", "mi\nne", "mi|ne", "mine)"])
def test_names_that_would_spoil_a_table_or_a_bracket_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="give words of letters, digits"):
        ModuleFeatures(Means(), name)
    assert ModuleFeatures(Means(), "CLIP ViT-B/32, v2".replace(",", "")).name == "CLIP ViT-B/32 v2"


@pytest.mark.parametrize(
    ("wants", "said"),
    [
        ({"size": 12.5}, "size 12.5: give a whole number"),
        ({"chunk": True}, "chunk True"),
        ({"size": 0}, "size 0: give a whole number, at least 1"),
        ({"chunk": 0}, "chunk 0"),
        ({"channels": 2}, "channels 2: give 1 or 3"),
    ],
)
def test_wants_that_make_no_sense_are_refused(wants: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        ModuleFeatures(Means(), "mine", **wants)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda x: x, "mine makes [5, 3, 8, 8] of 5 images"),
        (lambda x: x.mean((1, 2, 3)), "mine makes [5] of 5 images"),
        (lambda x: x.mean((2, 3))[:2], "mine makes [2, 3] of 5 images"),
        (lambda x: (x,), "mine makes tuple of 5 images"),
        (lambda x: x.flatten(1)[:, :0], "mine makes [5, 0] of 5 images"),
        (
            lambda x: x.mean((2, 3)) / torch.arange(5).clip(max=2)[:, None].sub(1),
            "mine makes NaN, infinity or numbers beyond 1e+12 of 1 of 5",
        ),
        (lambda x: x.mean((2, 3)) + 1e13, "numbers beyond 1e+12 of 5 of 5 images"),
        (lambda x: x.mean((2, 3)) + 1j, "mine makes complex numbers"),
        (lambda x: nn.Conv2d(1, 4, 3)(x), "mine fails on images of 8x8 px, 3 channels (Given groups=1"),
    ],
)
def test_what_is_no_row_of_numbers_for_each_image_is_refused(made: object, said: str) -> None:
    module = nn.Identity()
    module.forward = made  # type: ignore[assignment]
    with pytest.raises(InputError, match=re.escape(said)):
        ModuleFeatures(module, "mine").of(images(count=5))


def test_features_of_other_lengths_for_other_images_are_refused() -> None:
    class Grows(Means):
        def __init__(self) -> None:
            super().__init__()
            self.calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return x.flatten(1)[:, : self.calls]

    with pytest.raises(InputError, match="mine makes 1 numbers of some images and 2 of others"):
        ModuleFeatures(Grows(), "mine", chunk=16).of(images())

"""The FID network: its shape, what folding changes, and which weights give it its name. Parity is a benchmark."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fairdraw.errors import InputError
from fairdraw.metrics.inception import Inception
from fairdraw.metrics.networks import features_named
from fairdraw.nets.frozen import made_fast


@pytest.fixture(scope="module")
def network() -> Inception:
    torch.manual_seed(0)
    return Inception()


def test_it_has_the_parameters_of_the_file(network: Inception) -> None:
    state = network.state_dict()
    body = 21_785_568  # of Inception v3 without auxiliary classifier, before its last layer
    assert sum(parameter.numel() for parameter in network.parameters()) == body + 1008 * 2048 + 1008
    assert state["fc.weight"].shape == (1008, 2048)
    assert state["Mixed_5b.branch5x5_2.conv.weight"].shape == (64, 48, 5, 5)
    assert state["Mixed_6a.branch3x3.conv.weight"].shape == (384, 288, 3, 3)
    assert state["Mixed_7c.branch3x3dbl_3b.bn.running_var"].shape == (384,)


def test_levels_and_logits_are_as_the_graph_of_2015_has_them(network: Inception) -> None:
    """128 is 0 and 0 is -1; the inception score is of logits without the bias."""
    seen: list[torch.Tensor] = []
    hook = network.Conv2d_1a_3x3.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        network.features(torch.tensor([0.0, 128.0, 255.0])[:, None, None, None].expand(-1, 3, 75, 75))
        hook.remove()
        assert [float(x[0, 0, 0]) for x in seen[0]] == [-1, 0, 127 / 128]
        torch.nn.init.ones_(network.fc.bias)
        assert float(network.logits(torch.zeros(1, 2048)).abs().max()) == 0


@pytest.mark.slow
def test_folding_changes_nothing_and_images_do_not_matter_to_each_other(network: Inception) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 40, 40), np.uint8)
    torch.manual_seed(1)
    plain, fast = Inception(), Inception()
    for module in plain.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.normal_(module.running_mean, 0, 0.1)
    fast.load_state_dict(plain.state_dict())
    made_fast(fast)
    expected = plain.of(images)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(fast.of(images), expected, atol=1e-4 * scale)
    np.testing.assert_allclose(fast.of(images[1:2]), expected[1:2], atol=1e-4 * scale)


def test_other_weights_have_another_name_and_other_files_are_refused(network: Inception, tmp_path: Path) -> None:
    assert network.name == "inception-other-weights"
    torch.save(network.state_dict(), tmp_path / "mine.pth")
    with pytest.raises(InputError, match=r"mine\.pth"):
        features_named("inception", weights=tmp_path / "mine.pth")
    with pytest.raises(InputError, match=r"none\.pth"):
        features_named("inception", weights=tmp_path / "none.pth")

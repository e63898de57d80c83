"""The PatchGAN: what each depth sees, how many parameters it has, and whose statistics it takes."""

import pytest
import torch
from toys import parameters

from fairdraw.nets.patch import judged, patch_network
from fairdraw.nets.pyramid import initialise


@pytest.mark.parametrize(("layers", "patch"), [(0, 1), (1, 16), (2, 34), (3, 70), (4, 142), (5, 286)])
def test_a_logit_sees_a_patch_of_the_size_in_the_paper(layers: int, patch: int) -> None:
    network = patch_network(1, 2, layers, "none").double()
    for parameter in network.parameters():  # all weights of one sign, so that nothing cancels
        torch.nn.init.constant_(parameter, 0.1)
    x = torch.rand(1, 1, 320, 320, dtype=torch.float64, requires_grad=True)
    logits = network(x)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    assert x.grad is not None
    rows = (x.grad[0, 0].abs().sum(1) > 0).nonzero().flatten()
    assert int(rows[-1] - rows[0]) + 1 == patch


def test_at_70_px_it_has_the_papers_parameters_and_30_logits_a_side() -> None:
    assert parameters(patch_network(6, 64, 3, "batch")) == 2_768_705
    assert parameters(patch_network(3, 64, 3, "instance")) == 2_764_737
    assert patch_network(3, 4, 3, "instance")(torch.zeros(2, 3, 256, 256)).shape == (2, 1, 30, 30)


def test_batch_statistics_are_those_of_the_images_at_hand_at_use_too() -> None:
    network = patch_network(1, 4, 2, "batch").apply(initialise)
    x = torch.randn(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    trained = judged(network.train(), x)
    assert trained.shape == (3, 1)
    torch.testing.assert_close(judged(network.eval(), x), trained)

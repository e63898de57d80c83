"""What the options of the VAE make of the two terms of its bound."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from toys import build, stripes

from fairdraw import InputError, Noise, VAEConfig
from fairdraw.capabilities import Elbo
from fairdraw.images import to_signed
from fairdraw.losses import gaussian_kl
from fairdraw.model import Clock, Update
from fairdraw.models.vae import VAE

LOG_LIKELIHOOD = torch.tensor([-5.0, -7.0, -3.0, -9.0])
KL = torch.tensor([[0.0, 1.0, 0.2], [0.4, 2.0, 0.1], [0.1, 3.0, 0.0], [0.3, 4.0, 0.1]])
MEANS = (0.2, 2.5, 0.1)
X = to_signed(torch.from_numpy(stripes(6)))


def vae(**options: Any) -> VAE:
    model = build(VAEConfig(**{"hidden": (24,), "latent": 3, **options}))
    assert isinstance(model, VAE)
    return model


def only_update(model: VAE, images: int = 0, x: Tensor = X) -> Update:
    (update,) = model.updates({"image": x}, Clock(images, 10_000, Noise(0, len(x), purpose="train")))
    return update


def update_of_given_terms(monkeypatch: pytest.MonkeyPatch, images: int = 0, **options: Any) -> Update:
    """The update of a model whose bound has the terms above."""
    model = vae(**options)
    monkeypatch.setattr(model, "elbo", lambda *_: Elbo(LOG_LIKELIHOOD, KL))
    return only_update(model, images)


@pytest.mark.parametrize(
    ("options", "images", "weight", "costs"),
    [
        ({}, 0, 1.0, MEANS),
        ({"beta": 4.0}, 0, 4.0, MEANS),
        ({"beta": 0.0}, 0, 0.0, MEANS),
        ({"warmup": 1000}, 0, 0.0, MEANS),
        ({"warmup": 1000}, 250, 0.25, MEANS),
        ({"warmup": 1000, "beta": 2.0}, 500, 1.0, MEANS),
        ({"warmup": 1000}, 1000, 1.0, MEANS),
        ({"warmup": 1000}, 9000, 1.0, MEANS),
        # the least cost is of the mean over the batch, not of each image: .3 for .2 and for .1, though images exceed it
        ({"free_bits": 0.3}, 0, 1.0, (0.3, 2.5, 0.3)),
        ({"free_bits": 0.15, "beta": 3.0}, 0, 3.0, (0.2, 2.5, 0.15)),
        ({"free_bits": 9.0, "warmup": 100}, 50, 0.5, (9.0, 9.0, 9.0)),
    ],
)
def test_the_loss_is_the_papers_sum(
    options: dict[str, Any], images: int, weight: float, costs: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    update = update_of_given_terms(monkeypatch, images, **options)
    assert float(update.loss) == pytest.approx(6.0 + weight * sum(costs))
    # the log has the terms of the bound itself, whatever the loss is
    assert float(update.log["nll"]) == pytest.approx(6.0)
    assert float(update.log["kl"]) == pytest.approx(sum(MEANS))


def test_free_bits_take_the_gradient_off_latents_below_them() -> None:
    model = vae(free_bits=0.5)
    mean = torch.tensor([[0.1, 2.0, 0.0]]).repeat(6, 1).requires_grad_()
    kl = gaussian_kl(mean, torch.zeros_like(mean))
    model.elbo = lambda *_: Elbo(torch.zeros(6), kl)  # type: ignore[method-assign]
    (gradient,) = torch.autograd.grad(only_update(model).loss, [mean])
    assert (gradient[:, [0, 2]] == 0).all()
    torch.testing.assert_close(gradient[:, 1], torch.full((6,), 2.0 / 6))


def test_without_options_the_loss_is_minus_the_bound() -> None:
    model = vae()
    noise = Noise(0, len(X), purpose="train")
    bound = model.elbo(model.observe(X, noise), noise)
    torch.testing.assert_close(only_update(model).loss, -bound.value.mean())


def test_the_importance_weighted_loss_is_minus_its_bound() -> None:
    model = vae(objective="iwae", samples=7)
    noise = Noise(0, len(X), purpose="train")
    log_weights = model.log_weights(model.observe(X, noise), noise, 7).double()
    highest = log_weights.max(1).values
    expected = highest + (log_weights - highest[:, None]).exp().mean(1).log()
    update = only_update(model)
    assert float(update.loss.detach()) == pytest.approx(-float(expected.mean().detach()), rel=1e-6)
    assert float(update.log["bound"]) == pytest.approx(-float(update.loss.detach()))


def test_with_one_draw_both_objectives_have_one_expectation() -> None:
    """log w of one draw is the bound with the KL by its draw in place of the closed form."""
    model, count = vae(), 4000
    x = model.observe(X[:1], Noise(0, 1))
    with torch.no_grad():
        draws = model.log_weights(x, Noise(1, 1), count)[0].double()
        bound = model.elbo(x, Noise(1, 1), count)
    assert float(draws.mean()) == pytest.approx(float(bound.value), abs=5 * float(draws.std()) / count**0.5)


def test_grey_targets_are_not_drawn() -> None:
    model = vae(targets="grey")
    noise = Noise(0, len(X), purpose="train")
    bound = model.elbo((X + 1) / 2, noise)
    torch.testing.assert_close(only_update(model).loss, -bound.value.mean())


@pytest.mark.parametrize("decoder", ["gaussian", "logistic"])
def test_a_scale_is_trained_where_it_is_learned(decoder: Any) -> None:
    learned = vae(decoder=decoder)
    (gradient,) = torch.autograd.grad(only_update(learned).loss, [learned.pixels.log_scale])
    assert float(gradient.abs()) > 0
    assert "pixels.log_scale" not in dict(vae(decoder=decoder, scale="fixed").named_parameters())


# Two stochastic layers


def test_units_of_both_layers_are_told_apart() -> None:
    model = vae(latent=5, upper_latent=2, upper_hidden=(7,))
    noise = Noise(0, len(X))
    bound = model.elbo(model.observe(X, noise), noise, 3)
    assert bound.kl_units.shape == (6, 5 + 2)
    assert (bound.kl_units[:, 5:] >= 0).all(), "the KL of the upper layer is in closed form"


def test_an_upper_layer_that_says_nothing_is_one_layer() -> None:
    """With q(u|z) = p(u) and p(z|u) = N(0, I) the bound is that of the model without u."""
    two, one = vae(latent=5, upper_latent=2), vae(latent=5)
    with torch.no_grad():
        for network in (two.upper_encoder, two.upper_decoder):
            for p in network.parameters():
                p.zero_()
    one.load_state_dict({k: v for k, v in two.state_dict().items() if not k.startswith("upper_")})
    bits = one.observe(X, Noise(0, len(X)))
    with torch.no_grad():
        torch.testing.assert_close(two.log_weights(bits, Noise(1, 6), 9), one.log_weights(bits, Noise(1, 6), 9))
        many = two.elbo(bits, Noise(1, 6), 2000)
        closed = one.elbo(bits, Noise(1, 6), 2000)
    torch.testing.assert_close(many.log_likelihood, closed.log_likelihood)
    torch.testing.assert_close(many.kl, closed.kl, rtol=0.1, atol=0.1)
    assert (many.kl_units[:, 5:] == 0).all()


def test_draws_from_the_prior_go_through_the_upper_layer() -> None:
    model = vae(latent=2, upper_latent=3)
    last = [layer for layer in model.upper_decoder if isinstance(layer, torch.nn.Linear)][-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([4.0, -1.0, 2 * math.log(0.5), 2 * math.log(3.0)]))
        z = model.prior(Noise(0, 20_000))
    assert z.mean(0).tolist() == pytest.approx([4.0, -1.0], abs=0.1)
    assert z.std(0).tolist() == pytest.approx([0.5, 3.0], rel=0.03)


# What does not go together


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"objective": "iwae", "beta": 2.0}, "no beta, free bits, warm-up or grey targets"),
        ({"objective": "iwae", "free_bits": 0.5}, "--objective vae"),
        ({"objective": "iwae", "warmup": 5}, "--objective vae"),
        ({"objective": "iwae", "targets": "grey"}, "--objective vae"),
        ({"decoder": "gaussian", "targets": "grey"}, "bernoulli"),
        ({"upper_hidden": (5,)}, "--upper-latent"),
        ({"samples": 0}, "--samples"),
        ({"beta": -1.0}, "--beta"),
        ({"free_bits": -0.1}, "--free-bits"),
        ({"scale_start": 0.0}, "--scale-start"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        VAEConfig(**options)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)

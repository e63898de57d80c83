import math
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from fairdraw import DivergedError, InputError
from fairdraw.sklearn import VAE, Autoencoder, DenoisingAutoencoder

KINDS = (Autoencoder, DenoisingAutoencoder, VAE)
QUICK: dict[str, Any] = {"n_components": 2, "hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}


@pytest.fixture(scope="module")
def table() -> np.ndarray:
    """300 rows about a plane in 5 dimensions, far from the origin."""
    rng = np.random.default_rng(0)
    plane = np.linalg.qr(rng.normal(size=(5, 2)))[0].T
    return 100 + (rng.normal(size=(300, 2)) * [9, 6]) @ plane + rng.normal(size=(300, 5))


@pytest.fixture(scope="module")
def linear_vae(table: np.ndarray) -> VAE:
    vae = VAE(2, hidden_layer_sizes=(), learning_rate_init=0.05, max_iter=200, n_draws=1024, random_state=0)
    return vae.fit(table)


def _gaussian_of(vae: VAE) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of p(x), in the units of X, of a VAE without hidden layers."""
    layer = vae.model_.decoder[0]
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    noise = float(vae.model_.pixels.deviation) ** 2 * np.eye(len(bias))
    return vae.offset_ + vae.scale_ * bias, vae.scale_**2 * (weight @ weight.T + noise)


@parametrize_with_checks([kind(max_iter=2) for kind in KINDS])
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def test_a_linear_autoencoder_comes_to_pca_and_never_below(table: np.ndarray) -> None:
    pca = PCA(2).fit(table)
    best = np.square(pca.inverse_transform(pca.transform(table)) - table).sum(axis=1).mean()
    linear = Autoencoder(2, hidden_layer_sizes=(), learning_rate_init=0.05, max_iter=200, random_state=0).fit(table)
    assert best <= -linear.score(table) < 1.01 * best


def test_a_linear_vae_bounds_its_own_gaussian_density(linear_vae: VAE, table: np.ndarray) -> None:
    mean, covariance = _gaussian_of(linear_vae)
    away = table - mean
    distances = (away * np.linalg.solve(covariance, away.T).T).sum(axis=1)
    exact = -0.5 * (distances + np.linalg.slogdet(2 * math.pi * covariance)[1])
    found = linear_vae.score_samples(table)
    assert found == pytest.approx(exact, abs=0.05)
    assert found.mean() == pytest.approx(exact.mean(), abs=0.01)


def test_a_linear_vae_comes_to_probabilistic_pca(linear_vae: VAE, table: np.ndarray) -> None:
    best = PCA(2).fit(table).score(table)
    assert best - 0.1 < linear_vae.score(table) < best + 0.01


def test_samples_have_the_density_that_is_scored(linear_vae: VAE) -> None:
    mean, covariance = _gaussian_of(linear_vae)
    drawn = linear_vae.sample(20_500, random_state=1)
    deviations = np.sqrt(np.diag(covariance))
    assert np.abs((drawn.mean(axis=0) - mean) / deviations).max() < 5 / math.sqrt(len(drawn))
    # A correlation's standard deviation is at most 1 / sqrt(n), a relative variance's sqrt(2 / n).
    difference = (np.cov(drawn.T) - covariance) / np.outer(deviations, deviations)
    assert np.abs(difference).max() < 5 * math.sqrt(2 / len(drawn))


def test_densities_add_up_to_one() -> None:
    two_heaps = np.concatenate([np.random.default_rng(0).normal(centre, 1, (100, 1)) for centre in (-600, -580)])
    vae = VAE(1, hidden_layer_sizes=(16,), max_iter=60, n_draws=2000, random_state=0).fit(two_heaps)
    grid = np.linspace(-700, -480, 2201)[:, None]
    assert np.exp(vae.score_samples(grid)).sum() * 0.1 == pytest.approx(1, abs=0.03)

    every = (np.arange(16)[:, None] >> np.arange(4) & 1).astype(float)
    vae = VAE(1, likelihood="bernoulli", hidden_layer_sizes=(16,), max_iter=60, n_draws=2000, random_state=0)
    vae.fit(every[[0, 15, 0, 15, 3, 5]])
    assert np.exp(vae.score_samples(every)).sum() == pytest.approx(1, abs=0.03)
    assert set(vae.sample(50, random_state=0).ravel()) == {0, 1}


def test_more_draws_tighten_the_bound(table: np.ndarray) -> None:
    vae = VAE(**QUICK | {"max_iter": 30}, beta=0.01).fit(table)
    scores = []
    for draws in (1, 4, 64):
        vae.n_draws, means = draws, []
        for vae._seed in range(30):  # a bound of few draws is one in expectation alone
            means.append(vae.score(table))
        scores.append(np.mean(means))
    assert scores == sorted(scores)


@pytest.mark.parametrize("kind", KINDS)
def test_other_units_change_only_the_units(kind: Any, table: np.ndarray) -> None:
    factor = 1024.0  # a power of two, so that nothing is rounded
    one, other = kind(**QUICK).fit(table), kind(**QUICK).fit(factor * table)
    assert np.array_equal(one.transform(table), other.transform(factor * table))
    codes = one.transform(table)
    assert other.inverse_transform(codes) == pytest.approx(factor * one.inverse_transform(codes))
    if kind is VAE:
        assert other.score(factor * table) == pytest.approx(one.score(table) - 5 * math.log(factor))
    else:
        assert other.score(factor * table) == pytest.approx(factor**2 * one.score(table))


@pytest.mark.parametrize("kind", [Autoencoder, DenoisingAutoencoder])
def test_the_score_of_an_autoencoder_is_its_squared_error(kind: Any, table: np.ndarray) -> None:
    fitted = kind(**QUICK).fit(table)
    errors = np.square(fitted.inverse_transform(fitted.transform(table)) - table).sum(axis=1)
    assert fitted.score_samples(table) == pytest.approx(-errors)
    assert fitted.score(table) == pytest.approx(-errors.mean())


def test_a_denoising_autoencoder_removes_noise() -> None:
    clean = 10 * np.repeat(np.random.default_rng(0).random((400, 2)), 8, axis=1)
    noisy = clean + np.random.default_rng(1).normal(size=clean.shape)
    fitted = DenoisingAutoencoder(16, corruption="gaussian", amount=0.1, max_iter=60, random_state=0).fit(clean[:300])
    restored = fitted.inverse_transform(fitted.transform(noisy[300:]))
    assert np.square(restored - clean[300:]).mean() < 0.5 * np.square(noisy - clean)[300:].mean()


@pytest.mark.parametrize("kind", KINDS)
def test_random_state_decides_everything(kind: Any, table: np.ndarray) -> None:
    first, again = kind(**QUICK).fit(table), kind(**QUICK).fit(table)
    assert np.array_equal(first.transform(table), again.transform(table))
    assert np.array_equal(first.score_samples(table), again.score_samples(table))
    other = clone(first).set_params(random_state=1).fit(table)
    assert not np.allclose(first.transform(table), other.transform(table))

    drawn = first.sample(3, random_state=5)
    assert drawn.shape == (3, 5)
    assert first.sample(2, random_state=5) == pytest.approx(drawn[:2])  # the shape of a product decides its last bit
    assert not np.allclose(first.sample(3, random_state=6), drawn)

    codes = []
    for _ in range(2):
        np.random.seed(3)  # noqa: NPY002 - scikit-learn's None is numpy's global generator
        codes.append(clone(first).set_params(random_state=None).fit_transform(table))
    assert np.array_equal(*codes)


def test_a_fit_leaves_the_process_as_it_was(table: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")  # a launcher's: an estimator is no part of its world
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    state, before = torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        expected = [Autoencoder(**QUICK | {"random_state": seed}).fit_transform(table) for seed in range(4)]
        with ThreadPoolExecutor(4) as pool:
            found = pool.map(lambda seed: Autoencoder(**QUICK | {"random_state": seed}).fit_transform(table), range(4))
            assert all(map(np.array_equal, found, expected))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pickle_is_the_estimator(kind: Any, table: np.ndarray) -> None:
    fitted = kind(**QUICK).fit(table)
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.score_samples(table), fitted.score_samples(table))
    assert np.array_equal(again.sample(2, random_state=0), fitted.sample(2, random_state=0))


@pytest.mark.parametrize("kind", KINDS)
def test_float32_stays_float32_and_codes_have_names(kind: Any, table: np.ndarray) -> None:
    fitted = kind(**QUICK).fit(table.astype(np.float32))
    codes = fitted.transform(table.astype(np.float32))
    assert codes.dtype == fitted.inverse_transform(codes).dtype == np.float32
    assert fitted.transform(table).dtype == np.float64
    assert list(fitted.get_feature_names_out()) == [f"{kind.__name__.lower()}{i}" for i in range(2)]
    assert (fitted.n_features_in_, fitted.n_iter_) == (5, 3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("constant", [slice(1, 2), slice(None)], ids=["one", "all"])
def test_constant_features_are_no_harm(kind: Any, constant: slice, table: np.ndarray) -> None:
    rows = table.copy()
    rows[:, constant] = 7.0
    fitted = kind(**QUICK).fit(rows)
    assert all(np.isfinite(found).all() for found in (fitted.transform(rows), fitted.score_samples(rows)))
    assert np.isfinite(fitted.sample(5, random_state=0)).all()


def test_in_a_pipeline_under_a_grid_search(table: np.ndarray) -> None:
    labels = PCA(1).fit_transform(table)[:, 0] > 0
    pipeline = make_pipeline(StandardScaler(), Autoencoder(**QUICK), LogisticRegression())
    search = GridSearchCV(pipeline, {"autoencoder__max_iter": [1, 60]}, cv=2).fit(table, labels)
    assert search.best_score_ > 0.9


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_grid_search_finds_the_higher_density(jobs: int, table: np.ndarray) -> None:
    search = GridSearchCV(VAE(**QUICK), {"max_iter": [1, 20]}, cv=2, n_jobs=jobs).fit(table)
    assert search.best_params_ == {"max_iter": 20}


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        (Autoencoder, {"n_components": 0}, "n_components is 0: give a whole number of at least 1"),
        (Autoencoder, {"max_iter": 2.5}, "max_iter is 2.5"),
        (Autoencoder, {"batch_size": "auto"}, "batch_size is 'auto'"),
        (Autoencoder, {"hidden_layer_sizes": (8, 0)}, "hidden_layer_sizes is 0"),
        (Autoencoder, {"activation": "rellu"}, r"activation is 'rellu' \(did you mean relu\?\): give one of"),
        (Autoencoder, {"learning_rate_init": 0}, "learning_rate_init is 0: give a number above 0"),
        (Autoencoder, {"learning_rate_init": math.nan}, "learning_rate_init is nan"),
        (DenoisingAutoencoder, {"corruption": "blocks"}, "corruption is 'blocks': give one of masking"),
        (DenoisingAutoencoder, {"amount": 1.5}, "amount is 1.5: give a number from 0 to 1"),
        (DenoisingAutoencoder, {"amount": math.inf, "corruption": "gaussian"}, "amount is inf"),
        (VAE, {"likelihood": "normal"}, "likelihood is 'normal'"),
        (VAE, {"beta": -1}, "beta is -1: give a number of at least 0"),
        (VAE, {"n_draws": 0}, "n_draws is 0"),
        (VAE, {"likelihood": "bernoulli"}, "the bernoulli likelihood is for 0 to 1"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused(
    kind: Any, parameters: dict[str, Any], message: str, table: np.ndarray
) -> None:
    with pytest.raises(InputError, match=message):
        kind(**QUICK | parameters).fit(table)


def test_rows_and_codes_that_cannot_be_are_refused(table: np.ndarray) -> None:
    fitted = Autoencoder(**QUICK).fit(table)
    with pytest.raises(InputError, match="X has 3 columns: a code of this model has 2"):
        fitted.inverse_transform(np.zeros((4, 3)))
    with pytest.raises(InputError, match="n_samples is 0"):
        fitted.sample(0)
    with pytest.raises(InputError, match="variance of X is beyond"):
        Autoencoder(**QUICK).fit([[-1.7e308, 0], [1.7e308, 1]])


def test_a_training_that_diverges_says_so(table: np.ndarray) -> None:
    with pytest.raises(DivergedError, match="learning_rate_init"):
        Autoencoder(**QUICK | {"learning_rate_init": 1e30}).fit(table)


@pytest.mark.parametrize("kind", KINDS)
def test_finite_weights_that_reconstruct_nothing_diverged(kind: Any, table: np.ndarray) -> None:
    with pytest.raises(DivergedError, match="learning_rate_init 1000000"):
        kind(**QUICK | {"learning_rate_init": 1e6}).fit(table)


def test_the_package_alone_does_not_import_it() -> None:
    code = "import fairdraw, sys; sys.exit('sklearn' in sys.modules or 'fairdraw.sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

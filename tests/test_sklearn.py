import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks
from fairdraw.sklearn import VAE, Autoencoder, DenoisingAutoencoder


@parametrize_with_checks([Autoencoder(max_iter=5), DenoisingAutoencoder(max_iter=5), VAE(max_iter=5)])
def test_checks(estimator, check):
    check(estimator)

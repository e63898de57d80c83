"""The autoencoder family as scikit-learn estimators, for tables of real numbers `[n_samples, n_features]`.

Parameters, methods and attributes are named as in scikit-learn. Inside, a row is an image of one line, each feature
centred and all divided by one number, the root of their mean variance. So what is descended is the squared error in the
units of X, as with PCA: where features have different units, put a StandardScaler before.

Training is in float32 on one thread of the CPU; everything after it is in float64, so that what is found for a row does
not depend on the rows beside it.
"""

from fairdraw.sklearn.autoencoders import Autoencoder, DenoisingAutoencoder
from fairdraw.sklearn.vae import VAE

__all__ = ["VAE", "Autoencoder", "DenoisingAutoencoder"]

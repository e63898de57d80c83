"""PCA, autoencoders and VAEs with codes of one size, on the digits that come with scikit-learn.

    python examples/beside_pca.py --epochs 300 --seeds 3

Each is fitted in a pipeline to three quarters of 1,797 digits of 8 x 8 pixels with values from 0 to 16, restores the
other quarter from its codes, and says how likely these are. Networks depend on a seed: the mean and the range over
several are shown. The estimators' defaults were chosen by trials that these digits took part in.
"""

import numpy as np
import tyro
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from fairdraw.sklearn import VAE, Autoencoder


def squared_error(pipeline: Pipeline, x: np.ndarray) -> float:
    made = pipeline.inverse_transform(pipeline.transform(x))
    return float(np.square(made - x).sum(axis=1).mean())


def spread(values: list[float]) -> str:
    several = f" ({min(values):.1f} to {max(values):.1f})" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{several}"


def main(components: int = 8, epochs: int = 30, seeds: int = 1) -> None:
    train, test = train_test_split(load_digits().data, random_state=0)
    mean = np.square(test - train.mean(axis=0)).sum(axis=1).mean()
    print(f"fitted to {len(train)} digits, held out {len(test)}; {components} numbers a code, {seeds} seed(s)")
    print(f"{'':44}{'squared error':26}log density, nats")
    print(f"{'mean digit':44}{mean:.1f}")

    rows = {"PCA": [PCA(components)]}
    for kind in (Autoencoder, VAE):
        for widths in ((), (100,), (300, 100)):
            name = f"{kind.__name__}, layers {widths or 'none'}, {epochs} epochs"
            rate = 3e-3 if widths else 1e-2
            options = {"hidden_layer_sizes": widths, "learning_rate_init": rate, "max_iter": epochs}
            rows[name] = [kind(components, **options, random_state=seed) for seed in range(seeds)]
    for name, models in rows.items():
        fitted = [make_pipeline(StandardScaler(with_std=False), model).fit(train) for model in models]
        density = "" if "Autoencoder" in name else spread([pipeline.score(test) for pipeline in fitted])
        print(f"{name:44}{spread([squared_error(pipeline, test) for pipeline in fitted]):26}{density}", flush=True)


if __name__ == "__main__":
    tyro.cli(main)

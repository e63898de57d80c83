"""Translations that nobody has pairs for: whether they look like the other set, and still show what they were made of.

One without the other is easy: any image of the other set looks like it, and the input itself shows what it shows.
"""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from fairdraw.metrics.distances import nearest
from fairdraw.metrics.features import check_features

PENALTY = 0.01
"""scikit-learn's `C`: there may be more features than images."""
ITERATIONS = 1_000


@dataclass(frozen=True)
class DomainClassifier:
    """A logistic regression that tells features of images of domain `b` from those of domain `a`."""

    regression: Pipeline

    @classmethod
    def fitted(cls, a: np.ndarray, b: np.ndarray) -> "DomainClassifier":
        """To features `[N, D]` and `[M, D]`; each domain weighs as much as the other, whatever their numbers.

        Raises:
            InputError: for no features of a domain, other widths, NaN or infinity.
        """
        check_features(a, b, 1, "a classifier of two domains")
        regression = LogisticRegression(C=PENALTY, class_weight="balanced", max_iter=ITERATIONS)
        labels = np.repeat([False, True], [len(a), len(b)])
        return cls(make_pipeline(StandardScaler(), regression).fit(np.concatenate([a, b]), labels))

    def takes_for_b(self, features: np.ndarray) -> np.ndarray:
        """Of which of the features `[N, D]` it is more probable that they are of `b`, bool `[N]`."""
        found: np.ndarray = self.regression.predict(features)
        return found


def found_again(inputs: np.ndarray, translations: np.ndarray) -> np.ndarray:
    """Whether the input nearest to each translation is the one that it was made of, bool `[N]`; retrieval at rank 1.

    Of features `[N, D]` and `[N, D]`, less the mean of each kind, which is what the two domains differ by. By chance
    one in N is.

    Raises:
        InputError: for no features, other widths, NaN or infinity.
    """
    check_features(inputs, translations, 1, "retrieval")
    x, y = (torch.from_numpy(values).double() for values in (translations, inputs))
    places, _ = nearest(x - x.mean(0), y - y.mean(0))
    return (places == torch.arange(len(x))).numpy()

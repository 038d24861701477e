"""
How do I try a loss of my own?
==============================

A loss is a function of prediction and target that gives a number for each sample. A decorator makes it one like any other: for
training loops, estimators, runs and studies.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

import losslab
from losslab import LossRegressor, losses


@losslab.register.loss(reads="values", ranges={"c": "(0, inf)"}, search={"c": "log [0.1, 3]"})
def sine(pred, target, *, c=1.339):
    """Andrews (1972): the pull of an outlier beyond pi c is 0."""
    return c**2 * (1 - ((pred - target) / c).clamp(-torch.pi, torch.pi).cos())


rng = np.random.default_rng(9)
x = rng.uniform(-1, 1, (200, 1))
clean = 2 * x[:, 0]
y = np.where(rng.random(200) < 0.2, 15.0, clean + rng.normal(0, 0.2, 200))
error = torch.linspace(-6, 6, 201, dtype=torch.float64)
figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3))
left.plot(error, losses.get("sine").per_sample(error, torch.zeros_like(error)))
left.set(xlabel="error", ylabel="loss")
right.scatter(x, y, s=6, color="grey")
off = {}
for loss in ("mse", "sine"):
    made = LossRegressor(loss, model="linear", lr=0.02, steps=400, random_state=0).fit(x, y)
    right.plot(x, made.predict(x), label=loss)
    off[loss] = float(np.abs(made.predict(x) - clean).mean())
right.legend()
figure.tight_layout()
losslab.register.forget("loss", "sine")

assert off["sine"] < 0.2 * off["mse"]

"""
Classes in an order: what does a loss gain from it?
===================================================

To say 5 where the answer is 4 is a smaller mistake than to say 1. `cross_entropy` counts both the same. `coral` has a yes or no for
each threshold, so a far miss costs more.
"""

import matplotlib.pyplot as plt
import torch

from losslab import losses

steps = torch.arange(4, dtype=torch.float64)
places = torch.arange(5)
above = 4 * (places[:, None] - steps - 0.5)  # logits of a model that is sure of class 0, 1, 2, 3 or 4
classes = torch.full((5, 5), -4.0, dtype=torch.float64) + 8 * torch.eye(5, dtype=torch.float64)
truth = torch.full((5,), 4)
costs = {
    "coral": losses.get("coral", space="cumulative_logits").per_sample(above.double(), truth),
    "cross_entropy": losses.get("cross_entropy").per_sample(classes, truth),
}
figure, axes = plt.subplots(1, 2, figsize=(7, 3))
for axis, (name, cost) in zip(axes, costs.items(), strict=True):
    axis.bar(places.numpy(), cost.numpy())
    axis.set(title=name, xlabel="predicted class (the true one is 4)", ylabel="loss")
figure.tight_layout()

assert (costs["coral"].diff() < 0).all()
assert torch.allclose(costs["cross_entropy"][:4], costs["cross_entropy"][0])

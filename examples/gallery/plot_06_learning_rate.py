"""
Which loss survives a learning rate that is too large?
======================================================

A line is fitted by plain gradient descent. The step of `mse` grows with the error: beyond a certain rate each step overshoots by
more than it corrects, and the training diverges. A loss with a bounded gradient circles the minimum instead.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

from losslab import losses

rng = np.random.default_rng(1)
x = torch.tensor(rng.normal(size=200))
y = 3 * x + torch.tensor(rng.normal(0, 0.1, 200))


def descend(name: str, rate: float, steps: int = 40) -> list[float]:
    """The error of the slope after each step."""
    loss, slope, errors = losses.get(name), torch.zeros((), dtype=torch.float64, requires_grad=True), []
    for _ in range(steps):
        (gradient,) = torch.autograd.grad(loss(slope * x, y), slope)
        slope = (slope - rate * gradient).detach().requires_grad_()
        errors.append(abs(float(slope.detach()) - 3))
    return errors


figure, axes = plt.subplots(1, 2, figsize=(7, 3), sharey=True)
for axis, rate in zip(axes, (0.3, 1.3), strict=True):
    for name in ("mse", "huber"):
        axis.semilogy(descend(name, rate), label=name)
    axis.set(title=f"learning rate {rate}", xlabel="step", ylim=(1e-3, 1e4))
axes[0].set_ylabel("error of the slope")
axes[0].legend()
figure.tight_layout()

# %%
# At the higher rate the error of `mse` has grown above its start, and that of `huber` is small.

assert descend("mse", 1.3)[-1] > 100
assert descend("huber", 1.3)[-1] < 0.5
assert descend("mse", 0.3)[-1] < 0.05

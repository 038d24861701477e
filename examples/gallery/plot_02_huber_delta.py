"""
What does Huber's delta do?
===========================

`delta` is the error at which the loss changes from quadratic to linear. It is also the largest gradient that a sample can have.
So `delta` says how far off a target may be before it is treated as an outlier.
"""

import matplotlib.pyplot as plt
import torch

from losslab import losses

error = torch.linspace(-4, 4, 401, dtype=torch.float64)
figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3))
for delta in (0.3, 1.0, 2.5):
    huber = losses.get("huber", delta=delta)
    pred = error.clone().requires_grad_()
    value = huber.per_sample(pred, torch.zeros_like(error))
    (gradient,) = torch.autograd.grad(value.sum(), pred)
    left.plot(error, value.detach(), label=f"delta={delta}")
    right.plot(error, gradient)
    assert abs(float(gradient.max()) - delta) < 1e-12
left.set(xlabel="error", ylabel="loss", ylim=(0, 6))
right.set(xlabel="error", ylabel="gradient")
left.legend()
figure.tight_layout()

"""
One family of robust losses
===========================

Barron (2019) writes many robust losses as one, with a shape `alpha`: 2 is the squared error, 1 Charbonnier, 0 Cauchy, -2
Geman-McClure. A study can so tune how robust a loss is.
"""

import matplotlib.pyplot as plt
import torch

from losslab import losses

error = torch.linspace(-5, 5, 301, dtype=torch.float64)
zero = torch.zeros_like(error)
plt.figure(figsize=(7, 3.2))
for alpha in (2.0, 1.0, 0.0, -2.0, -20.0):
    plt.plot(error, losses.get("barron", alpha=alpha, c=1.0).per_sample(error, zero), label=f"alpha={alpha:g}")
plt.ylim(0, 5)
plt.xlabel("error")
plt.ylabel("loss")
plt.legend(ncols=2)
plt.tight_layout()

half = losses.get("mse").per_sample(error, zero) / 2
assert torch.allclose(losses.get("barron", alpha=2.0).per_sample(error, zero), half)
for name, alpha, c in (("charbonnier", 1.0, 1.0), ("cauchy", 0.0, 2**0.5), ("geman_mcclure", -2.0, 2.0)):
    same = losses.get(name, c=c).per_sample(error, zero)
    assert torch.allclose(losses.get("barron", alpha=alpha, c=1.0).per_sample(error, zero), same)

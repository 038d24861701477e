"""
How do robust losses let go of outliers?
========================================

`mse` pulls harder the larger the error. `l1` and `huber` pull with a bounded force. The gradient of a redescending loss goes back
to 0, so a far outlier has no influence. The price: where a prediction starts far off, such a loss does not pull it back.
"""

import matplotlib.pyplot as plt
import torch

from losslab import losses

error = torch.linspace(0, 6, 301, dtype=torch.float64)
plt.figure(figsize=(7, 3.2))
for name, kind in (("mse", ":"), ("l1", "--"), ("huber", "--"), ("cauchy", "-"), ("welsch", "-"), ("tukey", "-")):
    pred = error.clone().requires_grad_()
    value = losses.get(name).per_sample(pred, torch.zeros_like(error))
    (gradient,) = torch.autograd.grad(value.sum(), pred)
    plt.plot(error, gradient, kind, label=name)
    if kind == "-":  # it falls from its largest value
        assert gradient[-1] < 0.9 * gradient.max()
plt.ylim(0, 3)
plt.xlabel("error")
plt.ylabel("pull of a sample (gradient)")
plt.legend(ncols=2)
plt.tight_layout()

"""
Is huber here equal to torch's?
===============================

Yes, and so are their gradients. torch's `SmoothL1Loss` is another function: Huber divided by `delta`. A learning rate that is
right for one of the two is therefore wrong for the other where `delta` is not 1.
"""

import matplotlib.pyplot as plt
import torch

from losslab import losses

pred = torch.linspace(-3, 3, 301, dtype=torch.float64)
target = torch.zeros_like(pred)
ours = losses.get("huber", delta=0.5).per_sample(pred, target)
theirs = torch.nn.HuberLoss(delta=0.5, reduction="none")(pred, target)
smooth = torch.nn.SmoothL1Loss(beta=0.5, reduction="none")(pred, target)
assert torch.equal(ours, theirs)
assert torch.allclose(ours, 0.5 * smooth)
assert torch.equal(losses.get("smoothl1", beta=0.5).per_sample(pred, target), smooth)

plt.figure(figsize=(7, 3))
plt.plot(pred, ours, linewidth=4, alpha=0.5, label='losses.get("huber", delta=0.5)')
plt.plot(pred, theirs, "k--", label="torch.nn.HuberLoss(delta=0.5)")
plt.plot(pred, smooth, label="torch.nn.SmoothL1Loss(beta=0.5)")
plt.xlabel("error")
plt.ylabel("loss")
plt.legend()
plt.tight_layout()

"""
Can I add two losses?
=====================

`sum` adds losses with weights. DETR's loss for boxes is such a sum: the absolute errors of a box pull everywhere, and `giou` asks for
overlap whatever the size of the box.
"""

import matplotlib.pyplot as plt
import torch

from losslab import losses

shift = torch.linspace(0, 2, 101, dtype=torch.float64)
target = torch.tensor([0.0, 0.0, 1.0, 1.0], dtype=torch.float64).expand(101, 4)
pred = target + shift[:, None] * torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=torch.float64)
both = losses.get("sum", terms="5*box_l1 + 2*giou").per_sample(pred, target)
parts = {
    "5 box_l1": 5 * losses.get("box_l1").per_sample(pred, target),
    "2 giou": 2 * losses.get("giou").per_sample(pred, target),
}
plt.figure(figsize=(7, 3))
plt.stackplot(shift, list(parts.values()), labels=list(parts), alpha=0.4)
plt.plot(shift, both, "k", label="the sum, detr")
plt.xlabel("shift (sides of the box)")
plt.ylabel("loss")
plt.legend()
plt.tight_layout()

assert torch.allclose(both, sum(parts.values()))
assert torch.equal(both, losses.get("detr").per_sample(pred, target))

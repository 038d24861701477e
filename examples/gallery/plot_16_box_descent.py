"""
Which way does a box take to its target?
========================================

One box is moved onto its target by the gradient of a loss, with steps of one length. Both losses first make the box larger until
it reaches the target. `diou` also pulls the centre of the box onto that of the target.
"""

import matplotlib.pyplot as plt
import torch
from matplotlib.patches import Rectangle

from losslab import losses

start, target = torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([[3.0, 1.5, 4.0, 2.5]])
figure, axes = plt.subplots(1, 2, figsize=(7, 3), sharey=True)
apart = {}
for axis, name in zip(axes, ("giou", "diou"), strict=True):
    loss, box = losses.get(name), start.clone()
    for step in range(160):
        if step % 16 == 0:
            x1, y1, x2, y2 = box[0].tolist()
            axis.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor="C0", alpha=0.25 + step / 250))
        box = box.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(box, target), box)
        box = box - 0.04 * gradient / gradient.norm().clamp(min=1e-6)
    away = (box - target).detach().reshape(2, 2).mean(0)  # of the centres
    apart[name] = float(away.norm())
    axis.add_patch(Rectangle((3, 1.5), 1, 1, fill=False, edgecolor="C1", linewidth=2))
    axis.set(title=name, xlim=(-1.2, 5.2), ylim=(-0.8, 3.5))
figure.tight_layout()

print("distance of the centres after 160 steps:", {name: round(value, 2) for name, value in apart.items()})
assert apart["diou"] < 0.5 * apart["giou"]

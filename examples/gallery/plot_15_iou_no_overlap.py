"""
What do IoU losses do where boxes do not overlap?
=================================================

A box slides away from its target. From the point where they no longer overlap, the IoU is 0 and `iou` has no gradient: nothing
pulls the box back. `giou` and `diou` still have one.
"""

import matplotlib.pyplot as plt
import torch

from losslab import losses

shift = torch.linspace(0.05, 2.5, 200, dtype=torch.float64)
target = torch.tensor([0.0, 0.0, 1.0, 1.0], dtype=torch.float64).expand(200, 4)
move = torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=torch.float64)
figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3))
for name in ("iou", "giou", "diou"):
    pred = (target + shift[:, None] * move).requires_grad_()
    value = losses.get(name).per_sample(pred, target)
    (gradient,) = torch.autograd.grad(value.sum(), pred)
    size = gradient.square().sum(1).sqrt()
    left.plot(shift, value.detach(), label=name)
    right.plot(shift, size)
    assert (size[shift > 1.01] == 0).all() == (name == "iou")
for axis, word in ((left, "loss"), (right, "norm of the gradient")):
    axis.axvline(1, color="grey", linestyle=":")
    axis.set(xlabel="shift (sides of the box)", ylabel=word)
left.legend()
figure.tight_layout()

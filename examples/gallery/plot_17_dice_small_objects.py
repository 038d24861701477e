"""
Segmentation: Dice or cross-entropy?
====================================

An object covers a small share of a picture. Cross-entropy is a mean over pixels, so a missed small object costs little. Dice loss is
a share of the object, so it costs the same whatever its size.
"""

import matplotlib.pyplot as plt
import torch

from losslab import losses

sides = range(2, 33, 2)
cost = {name: [] for name in ("dice", "bce_with_logits")}
for side in sides:
    mask = torch.zeros(1, 32, 32)
    mask[:, :side, :side] = 1
    nothing = torch.full((1, 32, 32), -4.0)  # a model that sees no object
    cost["dice"].append(float(losses.get("dice")(nothing, mask)))
    cost["bce_with_logits"].append(float(losses.get("bce_with_logits")(nothing.flatten(1), mask.flatten(1))))

share = [(side / 32) ** 2 for side in sides]
plt.figure(figsize=(7, 3))
for name, values in cost.items():
    plt.plot(share, values, "o-", label=name)
plt.xlabel("share of the picture that the object covers")
plt.ylabel("loss of a missed object")
plt.legend()
plt.tight_layout()

assert min(cost["dice"]) > 0.8
assert cost["bce_with_logits"][0] < 0.05 * cost["bce_with_logits"][-1]

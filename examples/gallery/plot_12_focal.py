"""
What does focal loss do to easy samples?
========================================

Where one class is rare, most samples are easy, and the sum of their small losses can outweigh the few hard ones. Focal loss (Lin et
al., 2017) multiplies the loss by (1 - p)^gamma.
"""

import matplotlib.pyplot as plt
import torch

from losslab import losses

p = torch.linspace(0.005, 0.995, 199, dtype=torch.float64)
logit, yes = (p / (1 - p)).log(), torch.ones(199, dtype=torch.float64)
plain = losses.get("bce_with_logits", space="binary_logit").per_sample(logit, yes)
plt.figure(figsize=(7, 3))
plt.plot(p, plain, "k--", label="bce_with_logits")
for gamma in (1.0, 2.0, 5.0):
    focal = losses.get("focal", space="binary_logit", gamma=gamma).per_sample(logit, yes)
    plt.plot(p, focal, label=f"focal, gamma={gamma:g}")
    assert torch.allclose(focal, (1 - p) ** gamma * plain)
plt.xlabel("probability of the true class")
plt.ylabel("loss")
plt.ylim(0, 3)
plt.legend()
plt.tight_layout()

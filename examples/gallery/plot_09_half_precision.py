"""
What does half precision do to a loss?
======================================

float16 ends at 65,504. A squared error written by hand overflows from an error of 256 on. The losses here compute in float32 and
round once at the end.
"""

import matplotlib.pyplot as plt
import torch

from losslab import losses

error = torch.logspace(-5, 2.8, 200, dtype=torch.float64)
half = error.half()
truth = losses.get("charbonnier").per_sample(half.double(), torch.zeros(200, dtype=torch.float64))
ours = losses.get("charbonnier").per_sample(half, torch.zeros(200).half()).double()
by_hand = ((1 + half * half).sqrt() - 1).double()

plt.figure(figsize=(7, 3))
plt.loglog(error, truth, color="grey", linewidth=4, alpha=0.5, label="float64")
plt.loglog(error, ours, label="losslab, float16")
plt.loglog(error, by_hand, "--", label="by hand, float16")
plt.xlabel("error")
plt.ylabel("charbonnier")
plt.legend()
plt.tight_layout()

# %%
# Near 0 the loss by hand is exactly 0 where the true one is not, and far out it is infinite.

assert torch.finfo(torch.float16).max == 65504
assert torch.tensor(256.0).half().square().isinf()
assert ours.isfinite().all()
assert by_hand.isinf().any()
middle = (truth > 1e-4) & (truth < 6e4)
assert ((ours - truth).abs() / truth)[middle].max() < 1e-3
assert (by_hand[truth > 1e-4] == 0).any()

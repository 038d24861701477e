"""
Why is my loss NaN?
===================

A frequent cause is `log` on top of `sigmoid`. In float32 a sigmoid is exactly 1 from a logit of about 17 on; the logarithm of what
is left is infinite, and its gradient is NaN. A loss on logits computes both in one step.
"""

import matplotlib.pyplot as plt
import torch

from losslab import losses

logit = torch.linspace(0, 30, 301).requires_grad_()
by_hand = -torch.log(1 - torch.sigmoid(logit))  # the target is 0
safe = losses.get("bce_with_logits", space="binary_logit").per_sample(logit, torch.zeros(301))
(bad,) = torch.autograd.grad(by_hand.sum(), logit, retain_graph=True)
(good,) = torch.autograd.grad(safe.sum(), logit)

figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3))
left.plot(logit.detach(), safe.detach(), label="bce_with_logits")
left.plot(logit.detach(), by_hand.detach(), "--", label="-log(1 - sigmoid(z))")
right.plot(logit.detach(), good)
right.plot(logit.detach(), bad, "--")
left.set(xlabel="logit z", ylabel="loss")
right.set(xlabel="logit z", ylabel="gradient", ylim=(0, 1.5))
left.legend()
first = float(logit[~by_hand.isfinite()].detach().min())
for axis in (left, right):
    axis.axvline(first, color="grey", linestyle=":")
figure.tight_layout()

print(f"by hand, the loss is infinite from a logit of {first:.1f} on")
assert 16 < first < 18
assert bad.isnan().any()
assert good.isfinite().all()

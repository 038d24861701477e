"""
Why must each loss have its own learning rate?
==============================================

Losses differ in the size of their gradients. At one rate for all, a loss can look bad because the rate is wrong for it. Here the
same model is trained under two losses at seven rates. A point that is missing: the training diverged.
"""

import matplotlib.pyplot as plt
import numpy as np

from losslab import BadRequest, LossRegressor

rng = np.random.default_rng(2)
x = rng.normal(size=(240, 4))
clean = x[:, 0] * x[:, 1] + x[:, 2]
y = clean + rng.normal(0, 0.2, 240)
rates = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0]
error = {}
for loss, params in (("mse", {}), ("huber", {"delta": 0.05})):
    for rate in rates:
        made = LossRegressor(loss, loss_params=params, optimizer="sgd", lr=rate, steps=100, random_state=0)
        try:
            error[loss, rate] = float(np.abs(made.fit(x[:160], y[:160]).predict(x[160:]) - clean[160:]).mean())
        except BadRequest:  # it diverged
            error[loss, rate] = np.nan

plt.figure(figsize=(7, 3))
for loss, label in (("mse", "mse"), ("huber", "huber(delta=0.05)")):
    plt.semilogx(rates, [error[loss, rate] for rate in rates], "o-", label=label)
plt.xlabel("learning rate")
plt.ylabel("test MAE")
plt.ylim(0, 1.5)
plt.legend()
plt.tight_layout()

# %%
# At a shared rate of 0.03 `huber` is far behind. With the best rate of each, the gap is gone. This picture has one seed and is
# no evidence which loss is better: a :doc:`study </docs/studies>` tunes both and compares them on fresh seeds.

gap = error["huber", 0.03] - error["mse", 0.03]
best = {loss: np.nanmin([error[loss, rate] for rate in rates]) for loss in ("mse", "huber")}
print(f"gap at 0.03: {gap:.2f}, at the best rate of each: {best['huber'] - best['mse']:.2f}")
assert abs(best["huber"] - best["mse"]) < 0.3 * gap

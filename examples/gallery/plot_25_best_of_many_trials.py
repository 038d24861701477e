"""
Can the loss with more trials win by luck?
==========================================

The best of many trials looks better than the best of few, though nothing is better. Here all trials are of one loss: the same model is
trained at random learning rates, and each of two "losses" keeps its best validation error.
"""

import matplotlib.pyplot as plt
import numpy as np

from losslab import LossRegressor

rng = np.random.default_rng(8)
x = rng.normal(size=(120, 3))
y = x[:, 0] * x[:, 1] + rng.normal(0, 0.5, 120)
rates = 10 ** rng.uniform(-3.5, -0.5, 30)
trials = np.array(
    [
        np.abs(
            LossRegressor("huber", lr=rate, steps=30, random_state=seed).fit(x[:80], y[:80]).predict(x[80:]) - y[80:]
        ).mean()
        for seed, rate in enumerate(rates)
    ]
)
budgets = np.arange(1, 21)
best = [np.mean([rng.choice(trials, count, replace=False).min() for _ in range(300)]) for count in budgets]

plt.figure(figsize=(7, 3))
plt.plot(budgets, best, "o-")
plt.xlabel("trials")
plt.ylabel("mean of the best validation MAE")
plt.tight_layout()

print(f"2 trials: {best[1]:.3f}, 20 trials: {best[19]:.3f}, and it is one loss")
assert best[19] < best[1]

# %%
# So each loss of a study gets the same number of trials, and seeds that no trial has seen decide.

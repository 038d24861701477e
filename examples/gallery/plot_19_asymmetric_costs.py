"""
Errors cost more on one side: which loss?
=========================================

Running out of stock may cost four times as much as one item too many. The pinball loss with `tau` = 4 / (4 + 1) has this ratio, and
its best constant prediction is that quantile of the targets. That of `mse` is their mean.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

from losslab import losses

demand = torch.tensor(np.random.default_rng(6).gamma(4, 25, 2000))
stock = torch.linspace(0, 300, 601, dtype=torch.float64)
short, over = (demand - stock[:, None]).clamp(min=0), (stock[:, None] - demand).clamp(min=0)
cost = (4 * short + over).mean(1)
best = {}
plt.figure(figsize=(7, 3))
plt.plot(stock, cost, color="grey", label="cost")
for number, (name, params) in enumerate((("mse", {}), ("quantile", {"tau": 0.8}))):
    loss = losses.get(name, **params)
    values = torch.stack([loss(one.expand(2000), demand) for one in stock])
    best[name] = int(values.argmin())
    plt.axvline(float(stock[best[name]]), color=f"C{number}", linestyle="--", label=f"best for {name}")
plt.xlabel("stock")
plt.ylabel("mean cost")
plt.legend()
plt.tight_layout()

assert cost[best["quantile"]] < 1.001 * cost.min()
assert cost[best["mse"]] > 1.05 * cost.min()

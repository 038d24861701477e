"""
Which loss for counts?
======================

Counts are never negative, and their spread grows with their mean. A Poisson likelihood knows both; the squared error weighs
the large counts most and can predict a negative number.
"""

import matplotlib.pyplot as plt
import numpy as np

from losslab import LossRegressor

rng = np.random.default_rng(7)
x = rng.uniform(-3, 3, (400, 1))
rate = np.exp(1.1 * x[:, 0] - 0.5)
y = rng.poisson(rate)
line = np.linspace(-3, 3, 200)[:, None]
lowest = {}
plt.figure(figsize=(7, 3.2))
plt.scatter(x, y, s=8, color="grey")
for loss in ("mse", "poisson_nll"):
    made = LossRegressor(loss, model="linear", lr=0.02, steps=800, random_state=0).fit(x, y)
    plt.plot(line, made.predict(line), label=loss)
    lowest[loss] = float(made.predict(line).min())
plt.plot(line, np.exp(1.1 * line - 0.5), "k:", label="true rate")
plt.ylim(-5, 25)
plt.legend()
plt.tight_layout()

print({loss: round(value, 2) for loss, value in lowest.items()}, "is the lowest prediction")
assert lowest["mse"] < 0 <= lowest["poisson_nll"]

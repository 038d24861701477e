"""
Why does L1 shrug off an outlier?
=================================

A line is fitted to 30 points, of which one is far off. The gradient of the squared error grows with the error, so the one
point outweighs the others. The gradient of the absolute error has one size for all points.
"""

import matplotlib.pyplot as plt
import numpy as np

from losslab import LossRegressor

rng = np.random.default_rng(0)
x = np.linspace(0, 10, 30)
y = 2 * x + rng.normal(0, 0.5, 30)
y[27] = -60.0
slopes = {}
plt.figure(figsize=(7, 3.2))
plt.scatter(x, y, s=14, color="grey")
for loss, colour in (("mse", "#D55E00"), ("l1", "#0072B2")):
    line = LossRegressor(loss, model="linear", lr=0.05, steps=600, random_state=0).fit(x[:, None], y)
    slopes[loss] = float(np.diff(line.predict([[0.0], [1.0]]))[0])
    plt.plot(x, line.predict(x[:, None]), color=colour, label=f"{loss}: slope {slopes[loss]:.2f}")
plt.legend()
plt.tight_layout()

# %%
# The true slope is 2. That of `l1` stays within 0.1 of it, and that of `mse` does not come within 0.5.

assert abs(slopes["l1"] - 2) < 0.1
assert abs(slopes["mse"] - 2) > 0.5

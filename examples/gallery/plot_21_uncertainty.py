"""
Can a model say how sure it is?
===============================

Under `gaussian_nll` a model gives a value and a scale for each row. Where the noise is large, the scale becomes large. Here a network
with two outputs learns both.
"""

import matplotlib.pyplot as plt
import torch

from losslab import losses

generator = torch.Generator().manual_seed(0)
x = torch.rand(800, 1, generator=generator) * 4 - 2
noise = 0.1 + 0.4 * (x > 0)
y = x.sin() + noise * torch.randn(800, 1, generator=generator)
with torch.random.fork_rng():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(1, 32), torch.nn.Tanh(), torch.nn.Linear(32, 2))
loss, optimizer = losses.get("gaussian_nll"), torch.optim.Adam(model.parameters(), lr=0.02)
for _ in range(400):
    optimizer.zero_grad()
    loss(model(x)[:, None, :], y).backward()
    optimizer.step()

with torch.no_grad():
    line = torch.linspace(-2, 2, 200)[:, None]
    value, scale = model(line)[:, 0], model(line)[:, 1].exp()
plt.figure(figsize=(7, 3.2))
plt.scatter(x, y, s=4, color="grey")
plt.plot(line, value)
plt.fill_between(line[:, 0], value - 2 * scale, value + 2 * scale, alpha=0.3)
plt.title("value, and two scales on each side")
plt.tight_layout()

left, right = float(scale[line[:, 0] < -0.5].mean()), float(scale[line[:, 0] > 0.5].mean())
print(f"scale on the left {left:.2f} (true 0.1), on the right {right:.2f} (true 0.5)")
assert abs(left - 0.1) < 0.05
assert abs(right - 0.5) < 0.1

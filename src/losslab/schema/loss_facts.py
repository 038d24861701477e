"""What the words on a card mean. `tests/test_losses_contract.py` holds every loss to the facts that it declares."""

from __future__ import annotations

FACTS = {
    "convex": "one valley, no false minimum (in what the loss reads, not in the weights of a model)",
    "bounded_gradient": "no sample pulls harder than some number, however large its mistake",
    "bounded_loss": "no sample costs more than some number",
    "redescending": "the pull of a sample fades to nothing as its error grows",
    "symmetric": "the losses of one prediction under every class add up to a constant: evenly wrong labels do not move the minimum",
    "scale_equivariant": "another unit of prediction and target multiplies every loss by one factor",
    "nonnegative": "never below 0",
    "zero_at_target": "0 for a perfect prediction",
    "batchwise": "the loss of a sample depends on the others in its batch",
    "detached": "a part of it is held fixed in the gradient, so the gradient is not that of the value",
    "ignores_swapped": "a predicted box with swapped corners is not opened again: for predictions that always have x1 < x2, y1 < y2",
    "stateful": "it learns or keeps numbers of its own while it trains",
}
COMMON = ("nonnegative", "zero_at_target")  # hold of nearly all, so that a short list leaves them out

"""What the words on a card mean. `tests/losses/test_contract.py` holds every loss to the facts that it declares."""

from __future__ import annotations

FACTS = {
    "convex": "convex in the prediction, so every minimum is global (not convex in the weights of a model)",
    "bounded_gradient": "the gradient of a sample stays below a bound, however large its error",
    "bounded_loss": "the loss of a sample stays below a bound",
    "redescending": "the gradient of a sample goes to 0 as its error grows",
    "symmetric": "the losses of one prediction, summed over all labels, are constant: evenly wrong labels do not move the minimum",
    "scale_equivariant": "another unit of prediction and target multiplies every loss by one factor",
    "nonnegative": "never below 0",
    "zero_at_target": "0 for a perfect prediction",
    "batchwise": "the loss of a sample depends on the others in its batch",
    "detached": "a part of it is held fixed in the gradient, so the gradient is not that of the value",
    "ignores_swapped": "no gradient corrects a predicted box with swapped corners; for predictions that always have x1 < x2 and y1 < y2",
    "stateful": "it keeps numbers of its own, which are learned or updated during training",
}
COMMON = ("nonnegative", "zero_at_target")  # hold of nearly all, so that a short list leaves them out

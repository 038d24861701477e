"""Small models: plain modules that turn inputs into raw outputs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from losslab import config, pairing, sizes
from losslab import own as own_code
from losslab.registry import Registry
from losslab.values import BadRequest

MODELS: Registry[Callable[..., nn.Module]] = Registry()
register = MODELS.register


def build(model: Mapping[str, Any], shape: Sequence[int], outputs: int, seed: int, rows: int = 0) -> nn.Module:
    """The model of a config for inputs of `shape` (without the axis of samples); its weights come from the random stream `init`.

    `rows` is the number of samples; only a model with parameters for each sample uses it.
    torch's initialisers draw from the global generator, and a user's model may draw from NumPy's or Python's. So these are seeded
    first and restored afterwards.
    """
    settings = {key: value for key, value in model.items() if key != "name"}
    if config.card("model", model["name"]).about.get("per_row"):
        settings["rows"] = rows
    if model["name"] != "own":  # a user's model may need real tensors while it is built
        sizes.check_model(model, _parameters(model["name"], shape, outputs, settings))
    with pairing.globals_restored():
        pairing.seed_globals(seed, "init")
        return MODELS[model["name"]](shape, outputs, **settings)


def _parameters(name: str, shape: Sequence[int], outputs: int, settings: Mapping[str, Any]) -> int:
    """The number of parameters of a model, counted without allocating them; at most 2 ** 63."""
    try:
        with torch.device("meta"):
            return sum(one.numel() for one in MODELS[name](shape, outputs, **settings).parameters())
    except (RuntimeError, OverflowError):  # torch cannot count the bytes of one layer
        return 2**63


def with_heads(model: nn.Module, heads: int) -> nn.Module:
    """The model with `heads` numbers for each output, changed in place: its former outputs, then further ones that begin at 0.

    So with a loss that reads a scale beside each value, the model starts from the same function as with any other loss, with a
    scale of 1. The rows are added to the last linear layer.
    """
    if heads == 1:
        return model
    last = [name for name, part in model.named_modules() if isinstance(part, nn.Linear)]
    if not last:
        raise ValueError(
            "This loss reads a scale beside each value, and the model ends in no linear layer to give one."
        )
    narrow = model.get_submodule(last[-1])
    assert isinstance(narrow, nn.Linear)
    with torch.random.fork_rng(devices=[]):  # what is drawn here is overwritten
        wide = nn.Linear(narrow.in_features, heads * narrow.out_features).to(narrow.weight)
    with torch.no_grad():
        for new, old in ((wide.weight, narrow.weight), (wide.bias, narrow.bias)):
            new.zero_()[: narrow.out_features] = old
    parent, _, leaf = last[-1].rpartition(".")
    setattr(model.get_submodule(parent), leaf, wide)
    return model


@register
def linear(shape: Sequence[int], outputs: int) -> nn.Module:
    """One affine map: features * outputs + outputs parameters."""
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), outputs))


@register
def mlp(shape: Sequence[int], outputs: int, *, hidden: Sequence[int]) -> nn.Module:
    """MLP: fully connected layers of the widths `hidden`, with ReLU; 4,929 parameters for 10 inputs, [64, 64] and one output."""
    widths = [math.prod(shape), *hidden]
    layers: list[nn.Module] = [nn.Flatten()]
    for narrow, wide in itertools.pairwise(widths):
        layers += [nn.Linear(narrow, wide), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], outputs))


@register
def own(shape: Sequence[int], outputs: int, *, target: str) -> nn.Module:
    """The user's own model, from `target`, 'module:name', called with shape and outputs. Raises BadRequest if the result does not fit."""
    model = own_code.load("model.target", target)(tuple(shape), outputs)
    if not isinstance(model, nn.Module):
        raise BadRequest(f"model.target='{target}' gave a {type(model).__name__}; it must give a torch.nn.Module.")
    with torch.no_grad():
        made = model.eval()(torch.zeros(2, *shape))
    model.train()
    if made.shape != (2, outputs):
        raise BadRequest(
            f"model.target='{target}' must turn inputs [n, {', '.join(map(str, shape))}] into [n, {outputs}]; "
            f"two rows became {list(made.shape)}."
        )
    return model


@register
def cnn(shape: Sequence[int], outputs: int, *, channels: Sequence[int], hidden: int) -> nn.Module:
    """CNN: 3 x 3 convolutions of stride 2, flattened, then one hidden layer; for pictures [1, height, width].

    It flattens and does not pool, so that the place of an object is kept. 285,764 parameters for 64 x 64 pictures, [16, 32, 64],
    64 and four outputs.
    """
    depth, height, width = shape
    layers: list[nn.Module] = []
    for wide in channels:
        layers += [nn.Conv2d(depth, wide, 3, stride=2, padding=1), nn.ReLU()]
        depth, height, width = wide, (height + 1) // 2, (width + 1) // 2
    layers += [nn.Flatten(), nn.Linear(depth * height * width, hidden), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden, outputs))


@register
def boxes(shape: Sequence[int], outputs: int, *, unit: float, rows: int) -> nn.Module:
    """A box with 4 free parameters for each row of data=anchors; it begins at its anchor."""
    return _Boxes(rows, unit)


class _Boxes(nn.Module):
    """How far each row's box has moved from its anchor: centre x, centre y, width, height, in `unit` of the picture.

    Raw outputs are the logits of the box, and the task takes their sigmoid. So the parameters are the box itself. Its sides lie
    in (0, 1) of the picture; a parameter beyond that has no gradient. The loss of a batch of n rows is the mean of their losses.
    The gradient of each row is multiplied by n, so that SGD moves each box by its own loss, for any n.
    """

    def __init__(self, rows: int, unit: float) -> None:
        super().__init__()
        self.unit = unit
        self.moved = nn.Parameter(torch.zeros(rows, 4))

    def forward(self, inputs: Tensor) -> Tensor:
        """Row number and anchor [n, 5] -> raw outputs [n, 4]."""
        moved = self.moved[inputs[:, 0].long()]
        still = moved.detach()
        moved = still + len(inputs) * (moved - still)
        return (inputs[:, 1:] + self.unit * moved).logit(1e-6)

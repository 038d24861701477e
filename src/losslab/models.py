"""Small models: plain modules that turn inputs into raw outputs."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial, update_wrapper
from typing import Any

import torch
from torch import Tensor, nn

from losslab import errors, model_libraries, seeding
from losslab.errors import BadRequest
from losslab.registry import Registry
from losslab.schema import cards, decorated, memory, user_code
from losslab.schema import model_libraries as named_libraries


def _checked(function: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """A model from outside, held to turning inputs of its shape into its number of outputs."""
    name = getattr(getattr(function, "func", function), "__name__", "of yours")

    def made(shape: Sequence[int], outputs: int, **settings: Any) -> nn.Module:
        shape = tuple(shape)
        called = f"The model '{name}', called as {name}(shape={shape}, outputs={outputs})"
        try:
            model = function(shape, outputs, **settings)
        except Exception as error:  # a user's own code
            raise _refusal(
                error, called, "losslab gives it the shape of one input and the number of outputs"
            ) from error
        if not isinstance(model, nn.Module):
            raise BadRequest(f"The model '{name}' gave a {type(model).__name__}; it must give a torch.nn.Module.")
        turned = f"inputs [n, {', '.join(map(str, shape))}] into [n, {outputs}]"
        try:
            with torch.no_grad():
                found = model.eval()(torch.zeros(2, *shape))
        except Exception as error:
            raise _refusal(error, f"The model '{name}', given two rows of zeros", f"it must turn {turned}") from error
        model.train()
        if not isinstance(found, Tensor) or found.shape != (2, outputs):
            became = list(found.shape) if isinstance(found, Tensor) else f"a {type(found).__name__}"
            raise BadRequest(f"The model '{name}' must turn {turned}; two rows became {became}.")
        if not any(p.requires_grad for p in model.parameters()):
            raise BadRequest(f"The model '{name}' has no parameter that can be trained: none has requires_grad.")
        return model

    return update_wrapper(made, function) if hasattr(function, "__name__") else made


def _refusal(error: Exception, what: str, wanted: str) -> Exception:
    """One sentence for an error of a user's code; the error itself where memory or the disk has ended."""
    errors.raise_if_ended(error)
    if isinstance(error, BadRequest) or errors.is_out_of_memory(error):
        return error
    said = errors.describe(error).splitlines()[0][:300].rstrip(".")
    return BadRequest(f"{what}, raises {said}; {wanted}.")


MODELS: Registry[Callable[..., nn.Module]] = Registry("model", wrap_outside=_checked)
register = MODELS.register


def build(model: Mapping[str, Any], shape: Sequence[int], outputs: int, seed: int, rows: int = 0) -> nn.Module:
    """The model of a config for inputs of `shape` (without the axis of samples); its weights come from the random stream `init`.

    `rows` is the number of samples; only a model with parameters for each sample uses it.
    torch's initialisers draw from the global generator, and a user's model may draw from NumPy's or Python's. So these are seeded
    first and restored afterwards.
    """
    settings = {key: value for key, value in model.items() if key != "name"}
    card, function = cards.card("model", model["name"]), _function(model["name"])
    if card.about.get("per_row"):
        settings["rows"] = rows
    if card.shipped and not card.about.get("target"):  # a user's may need real tensors while it is made
        memory.check_model(model, _parameters(model["name"], tuple(shape), outputs, json.dumps(settings)))
    with seeding.globals_restored():
        seeding.seed_globals(seed, "init")
        return function(shape, outputs, **settings)


def _function(name: str) -> Callable[..., nn.Module]:
    """What makes a model: losslab's own, the user's, or a library's."""
    return partial(model_libraries.make, name) if named_libraries.is_one(name) else MODELS.of(name)


@lru_cache  # the runs of a sweep ask for the same few models
def _parameters(name: str, shape: tuple[int, ...], outputs: int, settings: str) -> int:
    """How many numbers a model of losslab's own would hold, without making them; at most 2 ** 63. `settings`: as JSON."""
    try:
        with torch.device("meta"):
            return sum(one.numel() for one in _function(name)(shape, outputs, **json.loads(settings)).parameters())
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
        wide = nn.Linear(narrow.in_features, heads * narrow.out_features, narrow.bias is not None).to(narrow.weight)
    with torch.no_grad():
        for new, old in zip(wide.parameters(), narrow.parameters(), strict=True):
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
    """A model of the user's own, from `target`, 'FILE.py:NAME' or 'module:NAME', called as here."""
    with decorated.only_noted():
        function = user_code.load("model.target", target)
    return _checked(function)(shape, outputs)


@register
def cnn(shape: Sequence[int], outputs: int, *, channels: Sequence[int], hidden: int) -> nn.Module:
    """CNN: 3 x 3 convolutions of stride 2, flattened, then one hidden layer; for pictures [channels, height, width].

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

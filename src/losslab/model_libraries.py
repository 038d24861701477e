"""Networks of torchvision and timm for a task: the head gives its number of outputs, the first layer takes the channels of its pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stderr, suppress
from typing import Any

import torch
from torch import Tensor, nn

from losslab import errors
from losslab.errors import BadRequest
from losslab.schema import memory

_HEAD = 1000  # outputs of what was trained on ImageNet
_SIZES = (
    16,
    24,
    32,
    48,
    64,
    96,
    128,
    192,
    224,
    256,
    299,
)  # of pictures that are tried where those of the data are too small


def make(reference: str, shape: Sequence[int], outputs: int, *, pretrained: bool = False) -> nn.Module:
    """The network that `reference`, LIBRARY:NAME, names, for inputs of `shape` [channels, height, width].

    Raises BadRequest where it cannot take them, where its weights cannot be had, and where memory would not hold it.
    """
    library, _, name = reference.partition(":")
    if len(shape) != 3:
        raise BadRequest(
            f"model={reference} reads pictures [channels, height, width], and the data give inputs {list(shape)}; take model=mlp."
        )
    maker = {"torchvision": _torchvision, "timm": _timm}[library]
    try:
        if not pretrained:
            memory.check_model({"name": reference}, _parameters(maker, name, shape, outputs))
        with redirect_stderr(io.StringIO()):  # torch.hub says there what it downloads
            model: nn.Module = maker(name, shape, outputs, pretrained)
    except Exception as error:
        errors.raise_if_ended(error)
        if isinstance(error, BadRequest) or errors.is_out_of_memory(error):
            raise
        said = _said(error)
        if pretrained:
            raise BadRequest(
                f"model.pretrained=true: {reference} and its weights cannot be had: {said}; connect this machine to where {library} "
                "downloads from, put the weights into its cache, or take model.pretrained=false."
            ) from error
        raise BadRequest(f"model={reference} cannot be made for pictures {list(shape)}: {said}.") from error
    _try(reference, model, shape, outputs)
    return model


def _parameters(maker: Any, name: str, shape: Sequence[int], outputs: int) -> int:
    """How many numbers a network holds, without making them; 0 where that cannot be told."""
    try:
        with torch.device("meta"):
            return sum(one.numel() for one in maker(name, shape, outputs, False, fitted=False).parameters())
    except Exception:  # said where it is made
        return 0


def _torchvision(name: str, shape: Sequence[int], outputs: int, pretrained: bool, fitted: bool = True) -> nn.Module:
    from torchvision import models

    channels, height, width = shape
    more: dict[str, Any] = {} if pretrained else {"num_classes": outputs}
    if name in ("googlenet", "inception_v3"):
        more["aux_logits"] = False  # else they give three outputs in training
        more |= {} if pretrained else {"init_weights": True}
    if name.startswith("vit_"):
        more["image_size"] = height
    if name.startswith("maxvit"):
        more["input_size"] = (height, width)
    model: nn.Module = models.get_model(name, weights="DEFAULT" if pretrained else None, progress=False, **more)
    if fitted:
        _fit_head(model, outputs)
        _fit_channels(model, channels, pretrained)
    return model


def _timm(name: str, shape: Sequence[int], outputs: int, pretrained: bool, fitted: bool = True) -> nn.Module:
    import timm

    channels, height, width = shape
    given = {"pretrained": pretrained, "num_classes": outputs, "in_chans": channels}
    model: nn.Module = timm.create_model(name, **given)
    if fitted and not _takes(model, shape):  # such as a transformer for pictures of one size
        with suppress(TypeError):  # of one for any size
            model = timm.create_model(name, **given, img_size=(height, width))
    return model


def _fit_head(model: nn.Module, outputs: int) -> None:
    """Replaces the last layer that gives the 1,000 classes of ImageNet, where there is one."""
    heads = [
        (path, layer)
        for path, layer in model.named_modules()
        if (isinstance(layer, nn.Linear) and layer.out_features == _HEAD)
        or (isinstance(layer, nn.Conv2d) and layer.out_channels == _HEAD)
    ]
    if outputs == _HEAD or not heads:
        return
    path, head = heads[-1]
    made: nn.Module
    if isinstance(head, nn.Linear):
        made = nn.Linear(head.in_features, outputs, bias=head.bias is not None)
    else:
        assert isinstance(head, nn.Conv2d)
        made = _conv(head, head.in_channels, outputs)
    _put(model, path, made)


def _fit_channels(model: nn.Module, channels: int, pretrained: bool) -> None:
    """Lets the first convolution, which takes 3 channels, take as many as the pictures have.

    Trained weights for one channel are the sum over the three, so that a grey picture gives what it gives as three equal
    channels; for other numbers they are repeated, and scaled to the same sum. Random ones are drawn with the spread of the former.
    """
    first = next(((path, layer) for path, layer in model.named_modules() if isinstance(layer, nn.Conv2d)), None)
    if first is None or first[1].in_channels == channels:
        return
    path, old = first
    new = _conv(old, channels, old.out_channels)
    with torch.no_grad():
        if old.bias is not None and new.bias is not None:
            new.bias.copy_(old.bias)
        if not pretrained:
            nn.init.normal_(new.weight, std=float(old.weight.std()))
        elif channels == 1:
            new.weight.copy_(old.weight.sum(1, keepdim=True))
        else:
            repeated = old.weight.repeat(1, -(-channels // old.in_channels), 1, 1)[:, :channels]
            new.weight.copy_(repeated * (old.in_channels / channels))
    _put(model, path, new)
    if getattr(model, "transform_input", False):  # of three channels, one by one
        setattr(model, "transform_input", False)  # noqa: B010  # typed as no bool


def _conv(like: nn.Conv2d, channels: int, outputs: int) -> nn.Conv2d:
    """A convolution of the same form for other numbers of channels."""
    return nn.Conv2d(
        channels,
        outputs,
        like.kernel_size,  # type: ignore[arg-type]
        like.stride,  # type: ignore[arg-type]
        like.padding,  # type: ignore[arg-type]
        like.dilation,  # type: ignore[arg-type]
        bias=like.bias is not None,
    )


def _put(model: nn.Module, path: str, layer: nn.Module) -> None:
    parent, _, leaf = path.rpartition(".")
    setattr(model.get_submodule(parent), leaf, layer)


@torch.no_grad()
def _try(reference: str, model: nn.Module, shape: Sequence[int], outputs: int) -> None:
    """Raises BadRequest where a network does not turn such pictures into so many outputs."""
    try:
        found = model.eval()(torch.zeros(2, *shape))
    except Exception as error:
        errors.raise_if_ended(error)
        if errors.is_out_of_memory(error):
            raise
        height, width = shape[1:]
        least = next(
            (size for size in _SIZES if size > min(height, width) and _takes(model, (shape[0], size, size))), 0
        )
        if least:
            raise BadRequest(
                f"Pictures of {height} x {width} are too small for model={reference}, which takes {least} x {least}; take data "
                "with larger pictures, or a network for small ones, such as torchvision:resnet18."
            ) from error
        raise BadRequest(f"model={reference} does not take pictures {list(shape)}: {_said(error)}.") from error
    finally:
        model.train()
    if not isinstance(found, Tensor) or found.shape != (2, outputs):
        became = list(found.shape) if isinstance(found, Tensor) else f"a {type(found).__name__}"
        raise BadRequest(
            f"model={reference} cannot be fitted to {outputs} outputs: two pictures became {became}; wrap it in a function of your "
            "own, and name that."
        )


@torch.no_grad()
def _takes(model: nn.Module, shape: Sequence[int]) -> bool:
    """Whether a network takes a picture of a shape; leaves it in training."""
    try:
        model.eval()(torch.zeros(1, *shape))
    except Exception as error:
        errors.raise_if_ended(error)
        return False
    finally:
        model.train()
    return True


def _said(error: Exception) -> str:
    return (errors.describe(error).splitlines() or [""])[0][:300].rstrip(".: ")

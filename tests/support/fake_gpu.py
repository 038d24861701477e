"""A second device without a GPU: `fakegpu`, on which torch computes as on the CPU and mixes tensors as strictly as on a GPU.

A tensor there wraps one on the CPU, and torch's dispatcher, autograd and modules take it for one of another device (torch's
PrivateUse1, for backends from outside). An operation whose tensors lie on two devices raises what it raises on a GPU: only
numbers (tensors without an axis) of the CPU may meet others, in arithmetic, and only indices of the CPU may index.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from functools import cache
from typing import Any

import torch
from pytorch_lightning.accelerators import AcceleratorRegistry, CPUAccelerator
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map, tree_map_only

NAME = "fakegpu"
aten = torch.ops.aten
_GIVEN_A_PLACE: ContextVar[bool] = ContextVar("given_a_place", default=False)
_torch_load = torch.load
_LIBRARIES: list[torch.library.Library] = []  # what is registered lasts as long as its library
# Kernels that walk through their tensors element by element: a number of the CPU goes along as an argument.
_TAKE_NUMBERS = (torch.Tag.pointwise,)
_ALSO_TAKE_NUMBERS = (
    "where",
    "index_put",
    "index_put_",
    "_index_put_impl_",
    "masked_fill",
    "masked_fill_",
    "fill_",
    "clamp",
    "lerp",
)
_CROSS = ("copy_", "_to_copy", "_copy_from", "set_data")
_INDEX = ("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index", "_unsafe_index_put")


class There(Tensor):
    """A tensor of the device `fakegpu`; `here` holds its numbers."""

    here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor) -> There:
        assert type(here) is Tensor, type(here)
        there = Tensor._make_wrapper_subclass(
            cls, here.shape, here.stride(), here.storage_offset(), dtype=here.dtype, device=torch.device(NAME, 0)
        )
        there.here = here
        return there

    __torch_function__ = torch._C._disabled_torch_function_impl

    def __reduce_ex__(self, _: Any) -> Any:
        return _opened, (self.here,)

    def tolist(self) -> Any:
        """torch refuses it to subclasses."""
        return self.here.tolist()

    def __repr__(self, **_: Any) -> str:
        return f"There({self.here!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return dispatch(func, args, kwargs or {})


def _opened(here: Tensor) -> Tensor:
    """A tensor of this device as it comes out of a file, on a machine that has no such device."""
    if not _GIVEN_A_PLACE.get():
        raise RuntimeError(f"Attempting to deserialize object on a device that is not here, {NAME}; use map_location.")
    return here


def open_file(*args: Any, map_location: Any = None, **kwargs: Any) -> Any:
    """torch.load, which knows nothing of this device."""
    token = _GIVEN_A_PLACE.set(map_location is not None)
    try:
        found = _torch_load(*args, map_location="cpu", **kwargs)
    finally:
        _GIVEN_A_PLACE.reset(token)
    there = isinstance(map_location, str | torch.device) and torch.device(map_location).type == NAME
    return tree_map_only(Tensor, lambda tensor: tensor.to(map_location), found) if there else found


def dispatch(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Runs an operation on the CPU and puts what it gives where torch would have put it."""
    name = func._schema.name.removeprefix("aten::")
    to = kwargs.get("device")
    if name not in _CROSS:
        check_mixture(func, name, args, kwargs)
    if to is not None:
        kwargs = kwargs | {"device": torch.device("cpu")}
    stays = name == "_local_scalar_dense"
    there = torch.device(to).type == NAME if to is not None else True
    if name == "copy_":
        there = isinstance(args[0], There)
    known = {id(leaf.here): leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, There)}
    found = func(*tree_map_only(There, lambda t: t.here, args), **tree_map_only(There, lambda t: t.here, kwargs))
    if stays:
        return found
    if name == "_to_copy" and to is not None and not there:
        return found

    def wrap(out: Any) -> Any:
        if not isinstance(out, Tensor) or isinstance(out, There) or not there:
            return out
        return known.get(id(out)) if id(out) in known else There(out)  # an operation in place gives what it was given

    return tree_map(wrap, found)


def check_mixture(func: Any, name: str, args: Any, kwargs: dict[str, Any]) -> None:
    """Raises RuntimeError where torch would."""
    given = list(args)
    if name in _INDEX:  # indices may lie on the CPU, if they index what lies elsewhere; not the other way round
        if not isinstance(args[0], There):
            raise RuntimeError(
                "indices should be either on cpu or on the same device as the indexed tensor (cpu), as in " + name
            )
        given = [args[0], *args[2:]]
    tensors = [leaf for leaf in tree_leaves((given, kwargs)) if isinstance(leaf, Tensor)]
    takes_numbers = name in _ALSO_TAKE_NUMBERS or any(tag in func.tags for tag in _TAKE_NUMBERS)
    wrong = [t for t in tensors if not isinstance(t, There) and not (takes_numbers and t.ndim == 0)]
    if wrong:
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, {NAME}:0 and cpu! "
            f"(in {name}: {[list(t.shape) for t in wrong]} on the CPU)"
        )


class _Accelerator(CPUAccelerator):
    """How Lightning sees the device."""

    def setup_device(self, device: torch.device) -> None:
        """There is but one."""

    @staticmethod
    def name() -> str:
        """As in `accelerator=`."""
        return NAME


def _copy_from(source: Tensor, to: Tensor, non_blocking: bool = False) -> Tensor:
    """What `torch.tensor(..., device=...)` calls past `There`."""
    here = [tensor.here if isinstance(tensor, There) else tensor for tensor in (to, source)]
    here[0].copy_(here[1])
    return to


def _factory(op: Any) -> Any:
    def kernel(*args: Any, **kwargs: Any) -> There:
        kwargs = kwargs | {"device": torch.device("cpu")}
        kwargs.pop("pin_memory", None)
        return There(op(*args, **kwargs))

    return kernel


def _factories() -> Iterator[tuple[str, Any]]:
    """Operations that make a tensor from none, so that only their argument `device` says where."""
    for full in torch._C._dispatch_get_all_op_names():
        name, _, overload = full.removeprefix("aten::").partition(".")
        if not full.startswith("aten::") or any(
            w in name for w in ("sparse", "quant", "mkldnn", "nested", "file", "token")
        ):
            continue
        try:
            op = getattr(getattr(torch.ops.aten, name), overload or "default")
        except (AttributeError, RuntimeError):
            continue
        arguments = op._schema.arguments
        if any(a.name == "device" for a in arguments) and not any("Tensor" in str(a.type) for a in arguments):
            yield full.removeprefix("aten::"), op


@cache
def install() -> torch.device:
    """Makes the device known to torch, for the rest of the process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.utils.backend_registration._setup_privateuseone_for_python_backend(NAME)
        library = torch.library.Library("aten", "IMPL")
        for name, op in _factories():
            library.impl(name, _factory(op), "PrivateUse1")
        library.impl("_copy_from", _copy_from, "PrivateUse1")
        AcceleratorRegistry.register(NAME, _Accelerator)
    torch.serialization.add_safe_globals([_opened])
    _LIBRARIES.append(library)
    return torch.device(NAME, 0)

"""What this machine computes on, and where a run's tensors lie.

`prepare` makes everything on the CPU. A module (RunModule, FusedModule) takes over what a step touches, moves as a whole to the
one device that `of_run` names, and leaves the task and the rows of `Prepared` where they are. What is compared or written comes
back by `to_cpu`, or as Python's own numbers from `Task.evaluate_all`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from losslab.errors import BadRequest

if TYPE_CHECKING:
    import torch

NO_TF32 = (
    "trainer.precision=tf32 needs an NVIDIA GPU of the Ampere generation or later, which this run would not use; "
    "trainer.precision=32-true runs everywhere."
)
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # their numbers in malloc.h


def has_gpu() -> bool:
    """True where a CUDA, ROCm or Apple GPU is visible to this process. What hides it from torch hides it here. Does not import torch."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1"):
        return False
    try:
        cuda = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return Path("/dev/kfd").exists()  # the kernel's door to AMD GPUs
    count = ctypes.c_int(0)
    return cuda.cuInit(0) == 0 and cuda.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0


def of_run(request: Mapping[str, Any]) -> torch.device:
    """The one device of a run, as its `trainer` says. Raises BadRequest where torch cannot compute there as it says."""
    import torch

    name, precision = request["trainer"]["name"], request["trainer"]["precision"]
    if name != "cpu" and torch.cuda.is_available():
        device = torch.device("cuda", 0)
    elif (
        name == "gpu" and torch.backends.mps.is_available()
    ):  # not auto, as nothing of this has been tried on Apple's GPU
        device = torch.device("mps", 0)
    elif name == "gpu":
        raise BadRequest(
            f"trainer=gpu was asked for, and torch {torch.__version__} cannot use the GPU of this machine; "
            "install a build of torch for it, or use trainer=cpu."
        )
    else:
        device = torch.device("cpu")
    if precision == "tf32" and (device.type != "cuda" or torch.cuda.get_device_capability(device) < (8, 0)):
        raise BadRequest(NO_TF32)
    return device


def check_count(request: Mapping[str, Any]) -> None:
    """Raises BadRequest where this machine has not the devices that a run asks for."""
    import torch

    asked, first = request["trainer"].get("devices", 1), of_run(request)
    if asked == 1 or first.type == "cpu":
        return
    there = torch.cuda.device_count() if first.type == "cuda" else 1
    if asked > there:
        raise BadRequest(
            f"trainer.devices={asked} was asked for, and this machine shows {there} GPU{'' if there == 1 else 's'}; ask for no more "
            "than that, or use trainer=cpu."
        )


def to_cpu(tree: Any) -> Any:
    """The tensors in nested dicts and lists, on the CPU: for what is compared or written."""
    import torch
    from lightning_utilities import apply_to_collection

    return apply_to_collection(tree, torch.Tensor, torch.Tensor.cpu)


def describe(device: torch.device, count: int = 1) -> str:
    """The name of a device; for a CPU also the number of threads, as results repeat bit for bit only with the same number.

    count: how many of them train together.
    """
    import torch

    if count > 1:
        return f"{count} x {describe(device)}"
    threads = torch.get_num_threads()
    return (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{device}, {threads} thread{'' if threads == 1 else 's'}"
    )


def keep_freed_memory() -> None:
    """Asks glibc to keep what is freed for what is taken next; does nothing elsewhere.

    A step of a stack takes and frees tens of megabytes, which glibc would give back to the system and ask for again, page
    by page: close to half of the time of a step.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            mallopt = ctypes.CDLL("libc.so.6").mallopt
            mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)  # the most that glibc takes
            mallopt(_M_TRIM_THRESHOLD, 2**30)

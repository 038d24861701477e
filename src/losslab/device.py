"""What this machine computes on."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

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


def describe(device: torch.device) -> str:
    """A device as a person would name it; on a CPU with the threads, as results repeat bit for bit only with as many."""
    import torch

    return (
        torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device}, {torch.get_num_threads()} threads"
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

"""The numeric settings of torch: as the request says while a run trains, and restored afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

# cuBLAS repeats its sums bit for bit only with a workspace of fixed size; torch asks for this one before any product.
_WORKSPACE, _FIXED = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
# what computes in float32, and may do so in less; each has the setting `fp32_precision`
_BACKENDS: tuple[Any, ...] = tuple(
    getattr(backend, kind)  # torch's stubs do not know them
    for backend, kinds in (
        (torch.backends.cuda, ("matmul",)),
        (torch.backends.cudnn, ("conv", "rnn")),
        (torch.backends.mkldnn, ("matmul", "conv", "rnn")),
    )
    for kind in kinds
)


@contextmanager
def as_asked(request: Mapping[str, Any]) -> Iterator[None]:
    """Sets torch to what `trainer.precision` and `trainer.deterministic` of a request say, and puts back what was there.

    TF32, which keeps 10 bits of a mantissa's 23, is off unless the precision is `tf32`: torch lets cuDNN's convolutions use
    it, and with it a GPU differs from a CPU, and a run from its stack, by more than rounding. Algorithms are only those that
    repeat bit for bit, where `deterministic` asks for them; cuDNN never chooses by timing.
    """
    trainer = request["trainer"]
    restore = _found()
    tf32 = trainer["precision"] == "tf32"
    try:
        # torch's older settings first, as Lightning reads them and torch refuses to tell where they contradict the newer
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = tf32
        for backend in _BACKENDS:
            backend.fp32_precision = "tf32" if tf32 else "ieee"
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(trainer["deterministic"])
        if trainer["deterministic"]:
            os.environ.setdefault(_WORKSPACE, _FIXED)
        yield
    finally:
        restore()


def _found() -> Any:
    """A function that puts back what is set now."""
    precisions = [backend.fp32_precision for backend in _BACKENDS]
    matmul, cudnn = _read(torch.get_float32_matmul_precision, "highest"), _read(_cudnn_tf32, True)
    benchmark, workspace = torch.backends.cudnn.benchmark, os.environ.get(_WORKSPACE)
    repeat, warn = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()

    def restore() -> None:
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.allow_tf32 = cudnn
        for backend, precision in zip(_BACKENDS, precisions, strict=True):
            backend.fp32_precision = "none"  # what all backends share; its own value only where that differs
            if backend.fp32_precision != precision:
                backend.fp32_precision = precision
        torch.backends.cudnn.benchmark = benchmark
        torch.use_deterministic_algorithms(repeat, warn_only=warn)
        if workspace is None:
            os.environ.pop(_WORKSPACE, None)
        else:
            os.environ[_WORKSPACE] = workspace

    return restore


def _cudnn_tf32() -> bool:
    return bool(torch.backends.cudnn.allow_tf32)


def _read(setting: Any, default: Any) -> Any:
    """One of torch's older settings; torch's default where the newer ones contradict it, since then it does not tell."""
    try:
        return setting()
    except RuntimeError:
        return default

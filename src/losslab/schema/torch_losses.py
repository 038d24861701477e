"""What losslab knows of the losses of torch.nn and torch.nn.functional, as they say it nowhere in their signatures. No torch here."""

from __future__ import annotations

from typing import Any, NamedTuple

_VALUES = ("values", "class_probs", "binary_prob", "boxes")


class TorchLoss(NamedTuple):
    """A loss of torch: the spaces that it reads, and the loss of losslab that is the same."""

    reads: tuple[str, ...]
    same: str
    fixed: dict[str, Any] = {}  # keywords that are not settings here, and their values


_KNOWN = {
    "L1Loss": TorchLoss(_VALUES, "l1"),
    "MSELoss": TorchLoss(_VALUES, "mse"),
    "HuberLoss": TorchLoss(_VALUES, "huber"),
    "SmoothL1Loss": TorchLoss(_VALUES, "smoothl1"),
    "CrossEntropyLoss": TorchLoss(("class_logits",), "cross_entropy"),
    "BCELoss": TorchLoss(("binary_prob",), "bce"),
    "BCEWithLogitsLoss": TorchLoss(("binary_logit",), "bce_with_logits"),
    "PoissonNLLLoss": TorchLoss(("log_rate",), "poisson_nll", {"log_input": True}),
    "MultiMarginLoss": TorchLoss(("class_logits",), "multi_margin"),
}
_FUNCTIONS = {
    "l1_loss": "L1Loss",
    "mse_loss": "MSELoss",
    "huber_loss": "HuberLoss",
    "smooth_l1_loss": "SmoothL1Loss",
    "cross_entropy": "CrossEntropyLoss",
    "binary_cross_entropy": "BCELoss",
    "binary_cross_entropy_with_logits": "BCEWithLogitsLoss",
    "poisson_nll_loss": "PoissonNLLLoss",
    "multi_margin_loss": "MultiMarginLoss",
    "nll_loss": "NLLLoss",
    "kl_div": "KLDivLoss",
    "gaussian_nll_loss": "GaussianNLLLoss",
    "soft_margin_loss": "SoftMarginLoss",
    "hinge_embedding_loss": "HingeEmbeddingLoss",
    "multilabel_margin_loss": "MultiLabelMarginLoss",
    "multilabel_soft_margin_loss": "MultiLabelSoftMarginLoss",
}
# what they take is none of the spaces, and what serves in their place
_REFUSED = {
    "NLLLoss": ("logs of probabilities", "cross_entropy"),
    "KLDivLoss": ("logs of probabilities", "cross_entropy"),
    "GaussianNLLLoss": ("a variance beside prediction and target", "gaussian_nll"),
    "SoftMarginLoss": ("targets of -1 and 1", "soft_margin"),
    "HingeEmbeddingLoss": ("targets of -1 and 1", "hinge"),
    "MultiLabelMarginLoss": ("lists of class indices as targets", "multi_margin"),
    "MultiLabelSoftMarginLoss": ("several labels for each sample", "bce_with_logits"),
}


def _name(found: Any) -> str:
    if not str(getattr(found, "__module__", "")).startswith("torch.nn"):
        return ""
    name = str(getattr(found, "__name__", ""))
    return _FUNCTIONS.get(name, name)


def known(found: Any) -> TorchLoss | None:
    """What is known of a class or function, if it is a loss of torch."""
    return _KNOWN.get(_name(found))


def refused(found: Any) -> tuple[str, str] | None:
    """What a loss of torch takes that no task gives, and the loss of losslab to take instead; None for any other."""
    return _REFUSED.get(_name(found))


def fixed(found: Any) -> dict[str, Any]:
    """The keywords of a loss of torch that are no settings here, with their values."""
    loss = known(found)
    return loss.fixed if loss else {}

"""Code for a training loop of the user's, with the loss that a study found best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from losslab.schema import cards
from losslab.schema.compatibility import space
from losslab.study.recipe import loss_setting

if TYPE_CHECKING:
    from losslab.study.recipe import Study

# what a loss of a space is given, from a model's raw outputs and the targets of a batch
_GIVEN = {
    "class_logits": ("outputs", "targets", "outputs [n, classes], targets [n] class numbers"),
    "class_probs": (
        "outputs.softmax(1)",
        "torch.nn.functional.one_hot(targets, outputs.shape[1]).float()",
        "outputs [n, classes], targets [n]",
    ),
    "binary_logit": ("outputs", "targets", "outputs [n], targets [n] 0 or 1, float"),
    "binary_prob": ("outputs.sigmoid()", "targets", "outputs [n], targets [n] 0 or 1, float"),
    "log_rate": ("outputs", "targets", "outputs [n], the log of the rate; targets [n] counts, float"),
    "rate": ("outputs.exp()", "targets", "outputs [n], the log of the rate; targets [n] counts, float"),
    "values": (
        "outputs",
        "(targets - centre) / spread",
        "outputs and targets [n, 1]; a prediction is outputs * spread + centre",
    ),
    "boxes": ("outputs", "targets", "outputs and targets [n, 4], corners"),
}
_OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD"}


def snippet(study: Study, label: str, hyperparameters: dict[str, Any], lr: float) -> str:
    """A few lines of PyTorch. Of a sum, and of a loss that reads a scale, the terms are left to docs/library.md."""
    name = str(loss_setting(label)["name"])
    optimizer = study.base["optimizer"]
    lines = ["import torch", "from losslab import losses", ""]
    if name == "sum":
        lines.append(f"loss_function = losses.total({loss_setting(label)['terms']!r})")
        read = None
    else:
        read = space(study.task, name)
        nothing = cards.options("loss")  # values under which a setting does nothing
        said = {key: value for key, value in hyperparameters.items() if value != nothing.get(key)}
        keywords = "".join(f", {key}={_rounded(value)}" for key, value in said.items())
        lines.append(f"loss_function = losses.get({name!r}, space={read!r}{keywords})")
    made = _OPTIMIZERS.get(optimizer["name"])
    if made:
        decay = f", weight_decay={optimizer['weight_decay']:g}" if optimizer.get("weight_decay") else ""
        momentum = f", momentum={optimizer['momentum']:g}" if optimizer.get("momentum") else ""
        lines.append(f"optimizer = torch.optim.{made}(model.parameters(), lr={lr:.3g}{momentum}{decay})")
    pred, target, shapes = _GIVEN.get(read or "", ("outputs", "targets", ""))
    if "spread" in target:
        lines.append("# losslab scales targets by their median and a robust spread")
        log = ".log()" if study.base["task"].get("log_target") else ""
        lines.append(f"centre = train_targets{log}.median()")
        lines.append(f"spread = 1.4826 * (train_targets{log} - centre).abs().median()")
        if log:
            target = target.replace("targets", "targets.log()")
            shapes = shapes.replace(
                "a prediction is outputs * spread + centre", "a prediction is (outputs * spread + centre).exp()"
            )
    lines += [
        "",
        "for inputs, targets in batches:",
        "    outputs = model(inputs)",
        *([f"    # {shapes}"] if shapes else []),
        f"    loss = loss_function({pred}, {target})",
        "    optimizer.zero_grad()",
        "    loss.backward()",
        "    optimizer.step()",
    ]
    return "\n".join(lines) + "\n"


def _rounded(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else repr(value)

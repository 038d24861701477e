"""Code for a training loop of the user's, with the loss that a study found best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from losslab.schema import cards
from losslab.schema.compatibility import space
from losslab.study.recipe import loss_setting

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    "quantiles": (
        "outputs[:, None]",
        "(targets - centre) / spread",
        "outputs [n, levels], targets [n, 1]; quantiles are outputs * spread + centre",
    ),
    "conditional_logits": (
        "outputs",
        "targets",
        "outputs [n, classes - 1], of being above a class if not below it; targets [n] class numbers",
    ),
    "label_logits": ("outputs", "targets", "outputs and targets [n, labels], 0 or 1, float"),
    "mask_logits": ("outputs", "targets", "outputs and targets [n, height, width], 0 or 1, float"),
}
# as values, of tasks whose outputs are none
_VALUES = {
    "counts": (
        "(outputs.exp() - centre) / spread",
        "(targets - centre) / spread",
        "outputs [n, 1], the log of the rate; targets [n, 1] counts, float",
    ),
    "bbox": (
        "(outputs - centre) / spread",
        "(targets - centre) / spread",
        "outputs and targets [n, 4], corners",
    ),
}
# what tasks give otherwise than by the space alone; from losslab.tasks.ordinal come the names of functions
_ORDERED = "outputs [n, classes - 1], of being above a class if not below it; targets [n] class numbers"
_OF_TASK = {
    ("ordinal", "class_logits"): ("log_probabilities(outputs)", "targets", _ORDERED),
    ("ordinal", "cumulative_logits"): ("cumulative(log_probabilities(outputs))", "targets", _ORDERED),
    ("multilabel", "binary_logit"): ("outputs", "targets", "outputs and targets [n, labels], 0 or 1, float"),
    ("segmentation", "binary_logit"): ("outputs", "targets", "outputs and targets [n, height, width], 0 or 1, float"),
} | {(task, "values"): given for task, given in _VALUES.items()}
_SHOWN = 20  # classes
_OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD"}


def snippet(
    study: Study, label: str, hyperparameters: dict[str, Any], lr: float, names: Sequence[str] = (), epochs: str = ""
) -> str:
    """A few lines of PyTorch. Of a sum, and of a loss that reads a scale, the terms are left to docs/library.md.

    Args:
        study: that found the loss.
        label: of the loss.
        hyperparameters: that it was tuned to.
        lr: the learning rate.
        names: of the classes.
        epochs: which of them were the best ones, in words.
    """
    name = str(loss_setting(label)["name"])
    base = study.base
    optimizer = base["optimizer"]
    lines = ["import torch", "from losslab import losses", ""]
    if name == "sum":
        lines.append(f"loss_function = losses.total({loss_setting(label)['terms']!r})")
        read = None
    else:
        read = space(study.task, name)
        nothing = cards.options("loss")  # values under which a setting does nothing
        said = {key: value for key, value in hyperparameters.items() if value != nothing.get(key)}
        followed = str(cards.card("loss", name).about.get("of_task", ""))
        if followed in base["task"]:
            said[followed] = base["task"][followed]
        counted = str(cards.card("loss", name).about.get("counted", ""))
        if counted in said and said[counted] == cards.card("loss", name).values[counted]:
            size = len(names) or "classes"
            lines.append(
                f"{counted} = torch.bincount(train_targets, minlength={size}).tolist()  # of the training targets"
            )
            said[counted] = _Word(counted)
        keywords = "".join(f", {key}={_rounded(value)}" for key, value in said.items())
        lines.append(f"loss_function = losses.get({name!r}, space={read!r}{keywords})")
    made = _OPTIMIZERS.get(optimizer["name"])
    if made:
        decay = f", weight_decay={optimizer['weight_decay']:g}" if optimizer.get("weight_decay") else ""
        momentum = f", momentum={optimizer['momentum']:g}" if optimizer.get("momentum") else ""
        lines.append(f"optimizer = torch.optim.{made}(model.parameters(), lr={lr:.3g}{momentum}{decay})")
    pred, target, shapes = _GIVEN.get(read or "", ("outputs", "targets", ""))
    pred, target, shapes = _OF_TASK.get((study.task, read or ""), (pred, target, shapes))
    used = [word for word in ("cumulative", "log_probabilities") if word in pred]
    if used:
        lines.insert(2, f"from losslab.tasks.ordinal import {', '.join(used)}")
    if "spread" in target:
        lines.insert(2, "from losslab.data.robust_scale import robust_scale")
        log = ".log()" if base["task"].get("log_target") else ""
        lines.append(
            f"centre, spread = robust_scale(train_targets{log})  # of the training targets [n, 1]: median and spread"
        )
        if log:
            target = target.replace("targets", "targets.log()")
            shapes = shapes.replace(
                "a prediction is outputs * spread + centre", "a prediction is (outputs * spread + centre).exp()"
            )
    batch, most = base["data"]["batch_size"], base["trainer"]["max_epochs"]
    lines.append(f"# batches of {batch} rows, at most {most} epochs{epochs}")
    if names and len(names) <= _SHOWN:
        shapes += f"; classes: {', '.join(f'{number} {name}' for number, name in enumerate(names))}"
    weighting = base["data"].get("row_weight") or base["data"].get("weight", "none")
    if weighting != "none":
        lines.append(
            "# the rows were weighted: weight the loss of each sample, reduction='none', and divide by the sum of weights"
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


class _Word(str):
    """The name of a variable, written without quotes."""


def _rounded(value: Any) -> str:
    if isinstance(value, _Word):
        return str(value)
    return f"{value:.4g}" if isinstance(value, float) else repr(value)

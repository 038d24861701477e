"""One run, from a checked request to its record: the file to read first."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from losslab import config, corruption, data, losses, models, tasks, trainer
from losslab.device import describe
from losslab.module import Batches, RunModule
from losslab.pairing import fingerprint
from losslab.record import Record, finished, write_whole
from losslab.request import check_folder, check_writable, clear_folder
from losslab.tasks import Snapshot


def run(request: Mapping[str, Any], folder: Path | str) -> Record:
    """Trains what `request` asks for, in `folder`, and returns the record that it leaves there.

    A run that is over is not repeated: its record is returned. One that was stopped goes on from its last checkpoint, to
    the end it would have had.

    Args:
        request: a composed config, as `losslab.compose("loss=l1", "seed=3")` gives.
        folder: where config.yaml, record.json, events and checkpoints go; made where it is missing.

    Raises:
        losslab.BadRequest: before anything is written, for a request that cannot be met.
        KeyboardInterrupt: after Ctrl-C; the same call goes on from the last finished epoch.
    """
    started = time.perf_counter()
    request, folder = config.check(request), Path(folder)
    check_writable(folder)
    check_folder(folder, request)
    if (record := finished(folder)) and not request["overwrite"]:
        return record
    seed, epochs = request["seed"], request["trainer"]["max_epochs"]

    source, split = data.load(request["data"], seed)
    rows = corruption.corrupt(request["corruption"], source, split, seed)
    task = tasks.build(request["task"], source)
    task.check_targets(rows.targets)
    task.calibrate(rows.targets[split["train"]])
    model = models.build(request["model"], rows.inputs.shape[1:], task.outputs, seed)
    loss = losses.for_task(request["task"]["name"], request["loss"])
    loss.check_target(task.target(loss.space, rows.targets), task.outputs)
    batches = Batches(split["train"], request["data"]["batch_size"], seed)
    module = RunModule(
        task, model, loss, rows, split, request["optimizer"], request["penalty"], steps=epochs * batches.steps
    )
    pairing = {
        "data": fingerprint([source.inputs, source.targets]),
        "split": fingerprint(split.values()),
        "corruption": fingerprint([rows.hit, rows.inputs, rows.targets]),
        "init": fingerprint(model.state_dict().values()),
        "order": fingerprint(batches.order(epoch) for epoch in range(epochs)),
    }

    last = folder / "checkpoints" / "last.ckpt"
    resumed = last.exists() and not request["overwrite"]
    if not resumed:
        clear_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "config.yaml", yaml.safe_dump(request, sort_keys=False))
    seen = Snapshot(rows.inputs, source.targets, rows.targets, rows.hit, split, module.raw)
    fitter = trainer.build(request, task, seen, folder, last if resumed else None)
    ready = time.perf_counter()
    trainer.fit(fitter, module, batches, last if resumed else None)
    trained = time.perf_counter()

    trainer.draw_figures(fitter, module)
    metrics = module.evaluate("last")
    best = torch.load(folder / "checkpoints" / "best.ckpt", map_location=module.device, weights_only=True)
    module.load_state_dict(best["state_dict"])
    metrics |= module.evaluate("best")
    diverged = module.diverged_in
    record = Record.of(
        request,
        status="diverged" if diverged else "done",
        reason=f"the loss or a prediction was not finite in epoch {diverged}" if diverged else None,
        epochs=diverged or epochs,
        selection={
            "metric": task.selector,
            "better": task.metrics[task.selector],
            "validation": "corrupted" if rows.hit[split["val"]].any() else "clean",
        },
        best_epoch=best["epoch"] + 1,
        metrics=metrics,
        pairing=pairing,
        data={"rows_in": {part: len(numbers) for part, numbers in split.items()}},
        corruption={"rows_hit": {part: int(rows.hit[numbers].sum()) for part, numbers in split.items()}},
        model={"parameters": sum(p.numel() for p in model.parameters())},
        seconds={"setup": ready - started, "fit": trained - ready, "total": time.perf_counter() - started},
        device=describe(module.device),
    )
    trainer.log_hyperparameters(fitter, record)
    record.write(folder)
    return record

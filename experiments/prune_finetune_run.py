"""Cycles of pruning and fine-tuning in a directory of their own: the ``prune-finetune`` command.

The directory holds ``prune_finetune.json`` (what was asked for), ``journal.jsonl`` (a line a cycle, the first
for the model as it came; no clocks) and ``model``, the result. Until that is there, ``cycles`` holds the model
of the last cycle, from which the same command continues.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from engine.errors import OptionError, RunError
from engine.local_store import LOCK, LocalStore
from experiments.environment import versions
from experiments.held_out_images import held_out_images
from experiments.measuring import load_images
from experiments.progress import Reporter, Silent
from experiments.prune_finetune import PruneFinetuneOptions, accuracies, describe, run_cycle
from fitness.genome import Genome
from fitness.importance import Importance
from models import output_directory, store
from models.cost import network_cost
from models.store import Model

DESCRIPTION = "prune_finetune.json"
JOURNAL = "journal.jsonl"
CYCLES = "cycles"
MODEL = "model"


def prune_finetune(
    source: Path,
    directory: Path,
    options: PruneFinetuneOptions,
    *,
    importance: Importance | None = None,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Cycle until the share of filters asked for is gone, or go on where an earlier call was interrupted.

    Args:
        source: model directory, left as it is.
        directory: a new one, or that of an interrupted call with the same options.
        options: see :class:`PruneFinetuneOptions`.
        importance: what ranks the filters, instead of the one registered as ``options.method``.
        reporter: receives training steps, and a sentence after each cycle.

    Returns:
        The last journal row, with the number of ``cycles``, the original's accuracies, the drops of parameters
        and MACs in percent, and where the ``model`` is.

    Raises:
        StoreError: the directory is occupied, or a model in it is damaged.
        RunError, OptionError: the directory belongs to another model or other options, or is in use.
        DataError, ImportanceError, TrainingError: see :func:`experiments.prune_finetune.run_cycle`.
    """
    directory, reporter = Path(directory), reporter or Silent()
    importance = importance or options.importance()
    _check_directory(directory)
    original = store.load(source)
    layout = Genome.of(original.network, options.prune).layout
    target, step = options.filters_to_remove(layout), options.filters_per_cycle(layout)
    images = load_images(options.data, original)
    held_out = held_out_images(options.data, original)
    run = LocalStore(directory)
    with run.lock():
        _begin_or_continue(run, options, original.digest())
        cycles = directory / CYCLES
        cycle, model = _newest(directory, original)
        if cycle == 0:
            found = accuracies(original, images, held_out)
            rows = [describe(0, original, options.prune, found, found)]
            _write_journal(run, rows)
        else:
            # The row of the newest model lies in the model: the journal may have missed it.
            rows = [*_read_journal(run, cycle), model.notes["cycle"]]
            _write_journal(run, rows)
        while (left := rows[-1]["filters"] - (layout.n_filters - target)) > 0:
            cycle += 1
            model, row = run_cycle(model, cycle, min(step, left), images, held_out, options, importance, reporter)
            parameters, macs = network_cost(original.network)
            model.notes["pruned_from"] = {
                "model_digest": original.digest(),
                "parameters": parameters,
                "macs": macs,
                "method": options.method,
            }
            model.notes["cycle"] = row
            store.save(cycles / str(cycle), model)
            rows.append(row)
            _write_journal(run, rows)
            if cycle > 1:
                shutil.rmtree(cycles / str(cycle - 1))
            reporter.message(_sentence(row, layout.n_filters - target))
        if not (directory / MODEL).exists():
            os.replace(cycles / str(cycle), directory / MODEL)
        if cycles.exists():
            shutil.rmtree(cycles)
    return _result(rows, directory)


def _check_directory(directory: Path) -> None:
    if directory.is_dir() and ((directory / DESCRIPTION).exists() or set(os.listdir(directory)) == {LOCK}):
        return
    output_directory.check_target(directory)


def _begin_or_continue(run: LocalStore, options: PruneFinetuneOptions, digest: str) -> None:
    """Write down what is asked for, or compare it with what was."""
    asked = json.loads(json.dumps(options.to_json()))
    if not run.exists(DESCRIPTION):
        entry = {"configuration": asked, "model_digest": digest, "versions": versions()}
        run.write(DESCRIPTION, (json.dumps(entry, indent=2) + "\n").encode())
        return
    try:
        entry = json.loads(run.read(DESCRIPTION))
        begun, begun_digest = entry["configuration"], entry["model_digest"]
        different = sorted(key for key in asked.keys() | begun.keys() if asked.get(key) != begun.get(key))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(f"{run.full_name(DESCRIPTION)} is damaged; restore it or name a new directory.") from error
    if begun_digest != digest:
        raise RunError(f"{run.location} began with another model; give that one, or name a new directory.")
    if different:
        key = different[0]
        raise OptionError(
            f"{run.location} began with other options ({key}: {begun.get(key)!r}, now {asked.get(key)!r}); give "
            "the same ones to continue it, or name a new directory."
        )


def _newest(directory: Path, original: Model) -> tuple[int, Model]:
    """Number and model of the last finished cycle; 0 and the original if there is none."""
    if (directory / MODEL).exists():
        model = store.load(directory / MODEL)
        return _row_of(directory / MODEL, model)["cycle"], model
    cycles = directory / CYCLES
    cycles.mkdir(exist_ok=True)
    finished = []
    for path in cycles.iterdir():
        if path.name.isdecimal():
            finished.append(int(path.name))
        elif path.name.startswith("."):
            # Half a model, left by a process killed while it was writing.
            shutil.rmtree(path)
    if not finished:
        return 0, original
    model = store.load(cycles / str(max(finished)))
    _row_of(cycles / str(max(finished)), model)
    return max(finished), model


def _row_of(path: Path, model: Model) -> dict[str, Any]:
    row = model.notes.get("cycle")
    if not isinstance(row, dict) or not all(isinstance(row.get(key), int) for key in ("cycle", "filters")):
        raise RunError(f"{path} is not a model of this command; restore it or name a new directory.")
    return row


def _read_journal(run: LocalStore, cycle: int) -> list[dict[str, Any]]:
    """The rows before that of ``cycle``."""
    try:
        rows = [json.loads(line) for line in run.read_log(JOURNAL).splitlines()]
        numbers = [row["cycle"] for row in rows]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunError(f"{run.full_name(JOURNAL)} is damaged; restore it or name a new directory.") from error
    if numbers[:cycle] != list(range(cycle)):
        raise RunError(f"{run.full_name(JOURNAL)} lacks cycles; restore it or name a new directory.")
    return rows[:cycle]


def _write_journal(run: LocalStore, rows: list[dict[str, Any]]) -> None:
    run.write(JOURNAL, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows).encode())


def _sentence(row: dict[str, Any], target: int) -> str:
    split, accuracy = list(row["accuracy"].items())[-1]
    return (
        f"cycle {row['cycle']}: {row['filters']:,} filters left (until {target:,}), {split} accuracy "
        f"{100 * row['accuracy_before'][split]:.2f}% pruned, {100 * accuracy:.2f}% fine-tuned"
    )


def _result(rows: list[dict[str, Any]], directory: Path) -> dict[str, Any]:
    first, last = rows[0], rows[-1]
    return {
        "cycles": last["cycle"],
        **{key: value for key, value in last.items() if key != "cycle"},
        "original_accuracy": first["accuracy"],
        "removed_filters": first["filters"] - last["filters"],
        "parameter_drop": 100 * (first["parameters"] - last["parameters"]) / first["parameters"],
        "mac_drop": 100 * (first["macs"] - last["macs"]) / first["macs"],
        "model": str(directory / MODEL),
    }

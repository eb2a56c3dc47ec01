"""Cycles of pruning and fine-tuning in a directory of their own: the ``prune-finetune`` command.

The directory holds ``prune_finetune.json`` (the options), ``journal.jsonl`` (one line for the original model
and one for each cycle; no times) and ``model``, the result. Until the result is written, ``cycles`` holds the
model of the last cycle, from which the same command continues.
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import OptionError, RunError
from engine.stores.local import LOCK, LocalStore
from experiments.data.facts import DataFacts, result_json
from experiments.data.loading import held_out_images, load_images, note_resize
from experiments.data.original_answers import check_labelled
from experiments.environment import versions
from experiments.measurement.measuring import read_model
from experiments.measurement.standing import check_standing
from experiments.progress import Reporter, Silent
from experiments.training.prune_finetune import PruneFinetuneOptions, accuracies, describe, run_cycle
from fitness.genome import Genome
from fitness.importance import Importance
from models import model_directory, output_directory
from models.cost import network_cost
from models.model_directory import Model

DESCRIPTION = "prune_finetune.json"
JOURNAL = "journal.jsonl"
CYCLES = "cycles"
MODEL = "model"


@dataclass(frozen=True)
class PruneFinetuneResult:
    """The last cycle against the original model.

    Attributes:
        cycles: number of cycles.
        filters: filters that are left; ``filters_by_layer`` has them by layer.
        parameters: trainable parameters that are left.
        macs: multiply-accumulates that are left, for one image.
        accuracy_before: accuracy by split, 0 to 1, before the fine-tuning of the last cycle.
        accuracy: accuracy by split, 0 to 1, in the end.
        original_accuracy: accuracy by split, 0 to 1, of the original.
        removed_filters: filters that are gone.
        parameter_drop: parameters that are gone, in percent.
        mac_drop: MACs that are gone, in percent.
        model: the directory of the smaller model.
        facts: what was noticed about the images.
    """

    cycles: int
    filters: int
    filters_by_layer: dict[str, int]
    parameters: int
    macs: int
    accuracy_before: dict[str, float]
    accuracy: dict[str, float]
    original_accuracy: dict[str, float]
    removed_filters: int
    parameter_drop: float
    mac_drop: float
    model: str
    facts: DataFacts

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return result_json(self)


def prune_finetune(
    source: Path,
    directory: Path,
    options: PruneFinetuneOptions,
    *,
    importance: Importance | None = None,
    reporter: Reporter | None = None,
) -> PruneFinetuneResult:
    """Run cycles until ``options.remove`` of the filters are gone, or continue an interrupted call.

    Args:
        source: model directory, left as it is.
        directory: a new directory, or that of an interrupted call with the same options.
        options: see :class:`PruneFinetuneOptions`.
        importance: ranks the filters instead of the importance registered as ``options.method``.
        reporter: receives training steps, and a sentence after each cycle.

    Raises:
        StoreError: the directory is occupied, or a model in it is damaged.
        RunError, OptionError: the directory belongs to another model or other options, or is in use.
        DataError, ImportanceError, TrainingError: see :func:`experiments.training.prune_finetune.run_cycle`.
    """
    directory, reporter = Path(directory), reporter or Silent()
    importance = importance or options.importance()
    check_labelled(options.data, "fine-tune a network")
    _check_directory(directory)
    original = read_model(source, reporter)
    layout = Genome.of(original.network, options.prune).layout
    target, step = options.filters_to_remove(layout), options.filters_per_cycle(layout)
    note_resize(original, options.data)
    images = load_images(options.data, original, reporter)
    held_out, remark = held_out_images(options.data, original, reporter)
    if remark:
        reporter.message(remark)
    warnings: tuple[str, ...] = ()
    if not (directory / DESCRIPTION).exists():
        _, warnings = check_standing(original, images, reporter, force=options.force)
    run = LocalStore(directory)
    with run.lock(reporter.message):
        warnings = _begin_or_continue(run, options, original.digest(), warnings)
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
            model_directory.save(cycles / str(cycle), model)
            rows.append(row)
            _write_journal(run, rows)
            if cycle > 1:
                shutil.rmtree(cycles / str(cycle - 1))
            reporter.message(_sentence(row, layout.n_filters - target))
        if not (directory / MODEL).exists():
            os.replace(cycles / str(cycle), directory / MODEL)
        if cycles.exists():
            shutil.rmtree(cycles)
    return _result(rows, directory, DataFacts.of(images, warnings).adding(remarks=[remark]))


def _check_directory(directory: Path) -> None:
    if directory.is_dir() and ((directory / DESCRIPTION).exists() or set(os.listdir(directory)) == {LOCK}):
        return
    output_directory.check_target(directory)


def _begin_or_continue(
    run: LocalStore, options: PruneFinetuneOptions, digest: str, warnings: tuple[str, ...]
) -> tuple[str, ...]:
    """Write the options and the warnings, or compare the options with those that an earlier call wrote.

    Returns:
        The warnings of the first call.
    """
    asked = json.loads(json.dumps(options.to_json()))
    if not run.exists(DESCRIPTION):
        entry = {
            "configuration": asked,
            "model_digest": digest,
            "warnings": list(warnings),
            "versions": versions(),
        }
        run.write(DESCRIPTION, (json.dumps(entry, indent=2) + "\n").encode())
        return warnings
    try:
        entry = json.loads(run.read(DESCRIPTION))
        begun, begun_digest = entry["configuration"], entry["model_digest"]
        begun_warnings = tuple(map(str, entry["warnings"]))
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
    return begun_warnings


def _newest(directory: Path, original: Model) -> tuple[int, Model]:
    """Number and model of the last finished cycle; 0 and the original if there is none."""
    if (directory / MODEL).exists():
        model = model_directory.load(directory / MODEL)
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
    model = model_directory.load(cycles / str(max(finished)))
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


def _result(rows: list[dict[str, Any]], directory: Path, facts: DataFacts) -> PruneFinetuneResult:
    first, last = rows[0], rows[-1]
    return PruneFinetuneResult(
        **{"cycles" if key == "cycle" else key: value for key, value in last.items()},
        original_accuracy=first["accuracy"],
        removed_filters=first["filters"] - last["filters"],
        parameter_drop=100 * (first["parameters"] - last["parameters"]) / first["parameters"],
        mac_drop=100 * (first["macs"] - last["macs"]) / first["macs"],
        model=str(directory / MODEL),
        facts=facts,
    )

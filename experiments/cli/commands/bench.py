"""``evoprune bench``: how much time pruning saves on this device."""

from pathlib import Path
from typing import Any

import click
import cloup

from experiments.benchmarks.speed.speed_comparison import BATCHES, ROUNDS
from experiments.cli.config import config_option
from experiments.cli.interruption import interruptible
from experiments.cli.output import print_result
from experiments.cli.parameter_types import COUNTS, MODEL_DIRECTORY
from experiments.cli.shared_options import json_option, model_class_option


@cloup.command(epilog="Example: evoprune bench big pruned")
@click.argument("model_dir", type=MODEL_DIRECTORY)
@click.argument("pruned_dir", type=MODEL_DIRECTORY)
@config_option
@model_class_option()
@cloup.option(
    "--batches",
    type=COUNTS,
    default=",".join(map(str, BATCHES)),
    show_default=True,
    metavar="LIST",
    help="Images that are answered at once.",
)
@cloup.option(
    "--rounds",
    type=int,
    default=ROUNDS,
    show_default=True,
    help="Turns of base and pruned for each runtime and batch size.",
)
@json_option
def bench(model_dir: Path, pruned_dir: Path, as_json: bool, batches: tuple[int, ...], rounds: int) -> None:
    """Time MODEL_DIR and its pruned form PRUNED_DIR in turn, in JAX, ONNX Runtime and PyTorch.

    ONNX Runtime and PyTorch are timed if they are installed. ONNX Runtime times the file that export writes, with
    widths that are multiples of 8.
    """
    from experiments.benchmarks.speed.speed_comparison import compare_speed

    with interruptible("nothing was written.") as terminal:
        result = compare_speed(model_dir, pruned_dir, batches=batches, rounds=rounds, reporter=terminal)
    print_result(result, as_json, _lines(result))


def _lines(result: dict[str, Any]) -> list[str]:
    """The result as tables."""
    base, pruned = result["base"], result["pruned"]
    lines = [
        f"{'':24}{'base':>16}{'pruned':>16}{'ratio':>8}",
        _row("parameters", base["parameters"], pruned["parameters"]),
        _row("MACs", base["macs"], pruned["macs"]),
        _row("weights file, bytes", base["file_bytes"], pruned["file_bytes"]),
    ]
    for runtime, found in result["runtimes"].items():
        for what, key in (("file", "file_bytes"), ("peak memory", "peak_memory_bytes")):
            if (runtime, key) != ("JAX", "file_bytes"):
                lines.append(_row(f"{runtime} {what}", found[key]["base"], found[key]["pruned"]))
    lines += [
        "",
        f"{'runtime':14}{'batch':>6}{'base ms':>10}{'pruned ms':>11}{'base img/s':>12}{'pruned img/s':>14}"
        f"{'MAC ratio':>11}{'time ratio':>12}{'quartiles':>14}{'MACs saved':>12}{'time saved':>12}",
    ]
    for timing in result["timings"]:
        low, high = timing["spread"]
        lines.append(
            f"{timing['runtime']:14}{timing['batch']:>6}{1e3 * timing['base']['seconds']:>10.2f}"
            f"{1e3 * timing['pruned']['seconds']:>11.2f}{timing['base']['images_per_second']:>12,.0f}"
            f"{timing['pruned']['images_per_second']:>14,.0f}{result['mac_ratio']:>11.3f}"
            f"{timing['time_ratio']:>12.3f}{f'{low:.3f}-{high:.3f}':>14}"
            f"{100 * (1 - result['mac_ratio']):>11.1f}%{100 * (1 - timing['time_ratio']):>11.1f}%"
        )
    if result["filler_filters"]:
        lines.append(f"ONNX Runtime: with {result['filler_filters']:,} filler filters, as export adds them")
    lines += [f"without {runtime}: it {why}" for runtime, why in result["missing"].items()]
    return lines


def _row(name: str, before: int, after: int) -> str:
    ratio = f"{after / before:8.3f}" if before > 0 else ""
    return f"{name:24}{before:>16,}{after:>16,}{ratio}"

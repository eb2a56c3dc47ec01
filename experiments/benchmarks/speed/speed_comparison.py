"""Times the original and the pruned network in turn in each installed runtime, and relates time to MACs."""

import tempfile
from collections.abc import Collection, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from engine.errors import OptionError
from experiments.benchmarks.speed.process import Subject, started
from experiments.environment import hardware, versions
from experiments.progress import Reporter, Silent
from models import model_directory
from models.cost import network_cost
from models.errors import ExportError
from models.export import description, onnx, torch
from models.export.contract import Format
from models.model_directory import WEIGHTS, Model
from models.tracing import factories
from models.widening import BLOCK, rounded

BATCHES = (1, 64)
FILES = {"JAX": WEIGHTS, "ONNX Runtime": description.ONNX_FILE, "PyTorch": torch.FILE}
"""Where each runtime has its weights."""
ROUND_SECONDS = 0.2
"""A turn calls as often as fits in it, so that the fastest networks are not timed by single calls."""
MOST_CALLS = 200
ROUNDS = 10


def compare_speed(
    base: Path,
    pruned: Path,
    *,
    batches: Sequence[int] = BATCHES,
    rounds: int = ROUNDS,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Latency, throughput, size and memory of two model directories, on this device.

    JAX and PyTorch run the networks as they are. ONNX Runtime gets the file that ``export`` writes by default,
    with widths that are multiples of 8.

    Args:
        base: the original.
        pruned: the smaller one.
        batches: numbers of images that are answered at once.
        rounds: turns (base, pruned, base, pruned, ...) for each runtime and batch size.
        reporter: receives sentences for the user.

    Returns:
        ``base`` and ``pruned`` (parameters, macs, bytes of the weights file), ``mac_ratio`` and
        ``parameter_ratio`` (pruned / base); ``timings``, a list with runtime, batch, ``base`` and ``pruned``
        (median seconds of a call, images per second, seconds to compile), ``time_ratio`` (median of the rounds'
        ratios pruned / base), ``spread`` (their quartiles) and ``saved_share``, the share of the MACs saved that
        is saved in time too (None if no MACs are); ``runtimes`` with file sizes and peak memory in bytes;
        ``missing``, the runtimes that are not installed or cannot run the network; ``filler_filters``, that ONNX
        Runtime computes besides the pruned network's.

    Raises:
        StoreError: a model cannot be read.
        OptionError: the two take different images; no rounds, no batches, or a batch size twice.
        EvaluationError: a process was ended, as for want of memory.
    """
    if rounds < 1:
        raise OptionError(f"`rounds` must be 1 or more, not {rounds}.")
    if not batches or min(batches) < 1:
        raise OptionError(f"`batches` must be numbers of 1 or more, as 1,64, not {','.join(map(str, batches))}.")
    if len(set(batches)) < len(batches):
        raise OptionError(f"`batches` {','.join(map(str, batches))} names a number twice; name each once.")
    reporter = reporter or Silent()
    directories = {"base": Path(base), "pruned": Path(pruned)}
    models = {name: model_directory.load(directory) for name, directory in directories.items()}
    shapes = {name: model.network.architecture.input_shape for name, model in models.items()}
    if shapes["base"] != shapes["pruned"]:
        raise OptionError(
            f"{base} takes images of {shapes['base']} and {pruned} of {shapes['pruned']}; give a model "
            "directory and what 'evoprune export' made of it."
        )
    names = {model.network.architecture.name for model in models.values()}
    needed = [name for each in names for name in factories.needed_for(each)]
    result: dict[str, Any] = {"hardware": hardware(), "versions": versions()}
    for name, model in models.items():
        parameters, macs = network_cost(model.network)
        size = (directories[name] / WEIGHTS).stat().st_size
        result[name] = {"parameters": parameters, "macs": macs, "file_bytes": size}
    for what in ("macs", "parameters"):
        result[f"{what.removesuffix('s')}_ratio"] = result["pruned"][what] / result["base"][what]
    wider = _as_exported(models)
    result |= {"timings": [], "runtimes": {}, "missing": {}}
    result["filler_filters"] = sum(_widths(wider["pruned"]).values()) - sum(_widths(models["pruned"]).values())
    with tempfile.TemporaryDirectory() as folder:
        places = {"JAX": directories}
        try:
            places["ONNX Runtime"] = _written(onnx.ONNX(), wider, Path(folder))
        except ExportError as error:
            result["missing"]["ONNX Runtime"] = str(error).removeprefix("`format` onnx ")
        if find_spec("torch") is None:
            result["missing"]["PyTorch"] = "is not installed."
        else:
            try:
                places["PyTorch"] = _written(torch.Torch(), models, Path(folder))
            except ExportError:
                result["missing"]["PyTorch"] = "is timed with a VGG or a ResNet alone."
        for runtime, found in places.items():
            reporter.message(f"Timing in {runtime}.")
            timings, memory = _timed(runtime, found, needed, batches, rounds, result["mac_ratio"])
            result["timings"] += timings
            sizes = {name: (place / FILES[runtime]).stat().st_size for name, place in found.items()}
            result["runtimes"][runtime] = {"file_bytes": sizes, "peak_memory_bytes": memory}
    return result


def _as_exported(models: Mapping[str, Model]) -> dict[str, Model]:
    """The models with the widths that ``export`` gives an ONNX file, if the one is the other pruned."""
    base, pruned = models["base"], models["pruned"]
    if _widths(base).keys() != _widths(pruned).keys():
        return dict(models)
    network = rounded(pruned.network, base.network, BLOCK)
    return {"base": base, "pruned": Model(network, pruned.normalisation, pruned.classes, pruned.notes)}


def _widths(model: Model) -> dict[str, int]:
    return {group.name: group.size for group in model.network.filter_groups}


def _written(form: Format, models: Mapping[str, Model], folder: Path) -> dict[str, Path]:
    """Folders with the models in a format.

    Raises:
        ExportError: a package is missing, or the format cannot say a network.
    """
    form.runtime()
    places = {}
    for name, model in models.items():
        places[name] = folder / form.name / name
        places[name].mkdir(parents=True)
        for file, content in form.files(model).items():
            (places[name] / file).write_bytes(content)
    return places


def _timed(
    runtime: str,
    places: Mapping[str, Path],
    needed: Collection[str],
    batches: Sequence[int],
    rounds: int,
    mac_ratio: float,
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Timings at each batch size, and the peak memory of each network."""
    found = []
    with (
        started(runtime, places["base"], needed) as base,
        started(runtime, places["pruned"], needed) as pruned,
    ):
        subjects = {"base": base, "pruned": pruned}
        for batch in batches:
            compiling = {name: subject.compile(batch) for name, subject in subjects.items()}
            found.append({"runtime": runtime, "batch": batch, **_in_turn(subjects, batch, rounds, mac_ratio)})
            for name, seconds in compiling.items():
                found[-1][name]["compile_seconds"] = seconds
        return found, {name: subject.peak_memory() for name, subject in subjects.items()}


def _in_turn(subjects: dict[str, Subject], batch: int, rounds: int, mac_ratio: float) -> dict[str, Any]:
    """One batch size: base, pruned, base, pruned, and so on."""
    # The first call of each is not counted; it also tells how many make a turn.
    first = max(subject.seconds(2)[-1] for subject in subjects.values())
    calls = max(1, min(MOST_CALLS, int(ROUND_SECONDS / first)))
    turns: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, subject in subjects.items():
            turns[name].append(median(subject.seconds(calls)))
    ratios = [after / before for before, after in zip(turns["base"], turns["pruned"], strict=True)]
    ratio = median(ratios)
    low, _, high = quantiles(ratios, n=4, method="inclusive") if rounds > 1 else [ratio] * 3
    timed: dict[str, Any] = {
        name: {"seconds": median(seconds), "images_per_second": batch / median(seconds)}
        for name, seconds in turns.items()
    }
    return timed | {
        "time_ratio": ratio,
        "spread": [low, high],
        "saved_share": None if mac_ratio == 1 else (1 - ratio) / (1 - mac_ratio),
        "calls_per_turn": calls,
    }

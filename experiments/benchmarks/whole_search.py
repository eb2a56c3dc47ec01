"""What a user waits for: ``evoprune search`` against a script with DEAP and PyTorch, whole processes in turn.

Command: ``python -m experiments.benchmarks.whole_search MODEL_DIR --data cifar10``. Both do Algorithm 2 of the
thesis with its settings, on the same images and with as many generations; the random numbers differ. Both count
the test images for the original network and for BEST at the end. The script reads arrays; evoprune decodes
pictures.

``cold`` runs find no compiled programs, ``warm`` ones find those of the run before. Other work on the machine
slows the contenders unequally, so the machine has to be quiet.
"""

import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import numpy as np

from experiments.benchmarks.machine import describe
from experiments.data.loading import load_images
from experiments.data.options import DataOptions
from models import model_directory
from models.networks.vgg import VGGArchitecture

SCRIPT = "experiments.benchmarks.rivals.thesis_script"
STARTS = {
    "start-up": "",
    "data": "opening ",
    "chance": "asking ",
    "generation 0": "compiling",
}
"""Phase of a search -> how the message begins that it begins with."""


@click.command()
@click.argument("model_dir", type=click.Path(path_type=Path, exists=True))
@click.option("--data", default="cifar10", show_default=True)
@click.option("--data-dir", envvar="EVOPRUNE_DATA_DIR")
@click.option("--images", default=500, show_default=True)
@click.option("--generations", default=8, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("bench"), show_default=True)
def main(
    model_dir: Path, data: str, data_dir: str | None, images: int, generations: int, rounds: int, out: Path
) -> None:
    """Time whole searches of a VGG without batch norm."""
    architecture = model_directory.load(model_dir).network.architecture
    if not isinstance(architecture, VGGArchitecture) or architecture.batch_norm:
        raise click.ClickException(
            f"{model_dir} is no VGG without batch norm, which is all that the script knows."
        )
    options = DataOptions(data, data_dir=data_dir, images=images)
    ours = ["search", "RUN", "--preset", "paper", "--model", str(model_dir.resolve()), "--data", data]
    ours += ["--images", str(images), "--generations", str(generations)]
    ours += [] if data_dir is None else ["--data-dir", str(Path(data_dir).resolve())]
    rounds_of: dict[str, list[dict[str, Any]]] = {"cold": [], "warm": [], "script": []}
    with tempfile.TemporaryDirectory() as folder:
        arrays = Path(folder, "images.npz")
        _write_arrays(arrays, model_dir, options)
        for number in range(rounds):
            for name in ("cold", "warm"):
                if name == "cold":
                    shutil.rmtree(Path(folder, "cache"), ignore_errors=True)
                rounds_of[name].append(_our_search(ours, Path(folder)))
                click.echo(f"round {number}, ours, {name}: {_shown(rounds_of[name][-1])}", err=True)
            if find_spec("torch") is not None:
                rounds_of["script"].append(_script(model_dir, arrays, generations))
                click.echo(f"round {number}, script: {_shown(rounds_of['script'][-1])}", err=True)
    medians = {name: _median(each["seconds"] for each in found) for name, found in rounds_of.items() if found}
    out.mkdir(parents=True, exist_ok=True)
    setting = {"images": images, "generations": generations, **describe()}
    record = {"setting": setting, "rounds": rounds_of, "median_seconds": medians}
    (out / "whole_search.json").write_text(json.dumps(record, indent=2) + "\n")
    for name, seconds in medians.items():
        beside = name != "script" and "script" in medians
        ratio = f", the script takes {medians['script'] / seconds:.2f} times as long" if beside else ""
        click.echo(f"{name}: {seconds:.1f} s{ratio}")


def _write_arrays(path: Path, model_dir: Path, options: DataOptions) -> None:
    """The images of the search and the test images, decoded, for the script."""
    model = model_directory.load(model_dir)
    fitness = load_images(options, model)
    test = load_images(replace(options, split="test", images=None), model)
    np.savez(path, images=fitness.images, labels=fitness.labels, test_images=test.images, test_labels=test.labels)


def _our_search(arguments: list[str], folder: Path) -> dict[str, Any]:
    """Seconds of a whole search and of its phases, and what it found."""
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    command = [sys.executable, "-m", "evoprune", *(str(run) if word == "RUN" else word for word in arguments)]
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache")}
    started = perf_counter()
    process = subprocess.Popen(
        [*command, "--json"], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    assert process.stdout is not None
    said = [(perf_counter() - started, line) for line in process.stderr]
    result = process.stdout.read()
    if process.wait():
        raise click.ClickException("".join(line for _, line in said))
    seconds = perf_counter() - started
    spent = [json.loads(line)["seconds"] for line in (run / "timings.jsonl").read_text().splitlines()]
    return {"seconds": seconds, "phases": _phases(said, spent, seconds), "result": json.loads(result)}


def _phases(said: list[tuple[float, str]], generations: list[float], seconds: float) -> dict[str, float]:
    """Seconds of each phase, from when messages came and from the times that the run recorded."""
    begins = {
        phase: next((at for at, line in said if line.startswith(start)), 0.0) for phase, start in STARTS.items()
    }
    begins["start-up"] = 0.0
    names = list(STARTS)
    phases = {name: begins[after] - begins[name] for name, after in itertools.pairwise(names)}
    phases["generation 0"] = generations[0]
    phases["other generations"] = sum(generations[1:])
    phases["test images and the rest"] = seconds - sum(phases.values())
    return phases


def _script(model_dir: Path, arrays: Path, generations: int) -> dict[str, Any]:
    command = [sys.executable, "-m", SCRIPT, str(model_dir), str(arrays), "--generations", str(generations)]
    started = perf_counter()
    done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE)
    return {"seconds": perf_counter() - started, "result": json.loads(done.stdout)}


def _shown(found: dict[str, Any]) -> str:
    phases = ", ".join(f"{name} {seconds:.1f}" for name, seconds in found.get("phases", {}).items())
    return f"{found['seconds']:.1f} s" + (f" ({phases})" if phases else "")


def _median(values: Iterable[float]) -> float:
    return float(statistics.median(values))


if __name__ == "__main__":
    main()

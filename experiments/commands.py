"""The commands of ``evoprune``. Heavy packages are imported when a command runs, not for its help."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from experiments.cli_options import (
    MODEL_DIRECTORY,
    backend_options,
    config_option,
    data_options,
    json_option,
    numbers,
    precision_option,
    print_result,
)

FILE = click.Path(path_type=Path)
_PLAIN = {"max_content_width": 110}


@click.group(context_settings=_PLAIN)
@click.version_option(package_name="evoprune")
def evoprune() -> None:
    """Find the filters of a trained CNN that can be removed without retraining."""


@contextmanager
def interruptible(remedy: str | Callable[[], str]) -> Iterator[Any]:
    """Progress on standard error; Ctrl-C and SIGTERM end with a sentence on how to go on."""
    from experiments.progress import Terminal

    terminal = Terminal()
    try:
        yield terminal
    except KeyboardInterrupt:
        terminal.close()
        sentence = remedy if isinstance(remedy, str) else remedy()
        click.echo(f"evoprune: interrupted; {sentence}", err=True)
        raise
    finally:
        terminal.close()


@evoprune.command(epilog="Example: evoprune models --json")
@json_option
def models(as_json: bool) -> None:
    """List the networks with their parameters, MACs (32x32x3) and prunable convolution filters."""
    from experiments.catalogue import catalogue

    result = catalogue()
    width = max(map(len, result))
    lines = [f"{'network':{width}}  {'parameters':>12}  {'MACs':>13}  {'filters':>7}"]
    for name, entry in result.items():
        lines.append(
            f"{name:{width}}  {entry['parameters']:12,}  {entry['macs']:13,}  {entry['prunable_filters']:7,}"
        )
    print_result(result, as_json, lines)


@evoprune.command(epilog="Example: evoprune train small --model vgg16 --width-multiplier 0.25 --data cifar10")
@click.argument("model_dir", type=MODEL_DIRECTORY)
@config_option
@click.option("--model", default="vgg16", show_default=True, help="Network; see 'evoprune models'.")
@click.option("--width-multiplier", type=float, default=1.0, show_default=True, help="Scales every width.")
@click.option("--batch-norm/--no-batch-norm", default=False, show_default=True, help="Batch norm or none.")
@data_options("train")
@click.option("--image-size", type=click.IntRange(min=1), help="Resize images to this height and width.")
@click.option("--epochs", type=int, default=12, show_default=True, help="Passes over the data.")
@click.option("--batch-size", type=int, default=128, show_default=True, help="Images in a step.")
@click.option("--optimizer", default="sgd", show_default=True, help="sgd (Nesterov momentum) or adamw.")
@click.option("--learning-rate", type=float, default=0.05, show_default=True, help="Peak; 0.001 suits adamw.")
@click.option("--warmup-epochs", type=float, default=1.0, show_default=True, help="Before cosine decay.")
@click.option("--weight-decay", type=float, default=5e-4, show_default=True, help="On kernels only.")
@click.option("--clip-norm", type=float, default=1.0, show_default=True, help="Largest gradient norm.")
@click.option("--augmentation", default="crop-flip", show_default=True, help="none, crop or crop-flip.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of everything random.")
@json_option
def train(model_dir: Path, as_json: bool, **options: Any) -> None:
    """Train a network and write it to MODEL_DIR."""
    from experiments.measuring import DataOptions
    from experiments.training_run import NetworkOptions, train_model
    from models.training import TrainingSettings

    network = NetworkOptions(**_taken(options, "model", "width_multiplier", "batch_norm"))
    data = DataOptions(seed=options["seed"], **_taken(options, "data", "data_dir", "split", "images"))
    image_size = options.pop("image_size")
    with interruptible("nothing was written; start again when you like.") as terminal:
        result = train_model(
            model_dir, network, data, TrainingSettings(**options), image_size=image_size, reporter=terminal
        )
    print_result(result, as_json, [_accuracy_line(result), f"written to {model_dir}"])


@evoprune.command(
    "import-torch",
    epilog="Example: evoprune import-torch vgg16.safetensors big --mean 0.49,0.48,0.45 --std 0.25,0.24,0.26",
)
@click.argument("file", type=FILE)
@click.argument("model_dir", type=MODEL_DIRECTORY)
@config_option
@click.option("--mean", required=True, callback=numbers, help="Means of the channels, of pixels from 0 to 1.")
@click.option("--std", required=True, callback=numbers, help="Standard deviations, likewise.")
@click.option("--classes", help="Comma-separated names; 0,1,2,... if not given.")
@click.option("--input-size", type=click.IntRange(min=1), help="Height and width, if not the smallest.")
@click.option("--data", help="Also evaluate on this data set.")
@click.option("--data-dir", envvar="EVOPRUNE_DATA_DIR", help="Folder with its parquet files.")
@click.option("--split", default="test", show_default=True, help="Split to evaluate on.")
@json_option
def import_torch(file: Path, model_dir: Path, as_json: bool, **options: Any) -> None:
    """Import a PyTorch VGG state_dict (FILE, safetensors) as MODEL_DIR."""
    from experiments.importing import import_model
    from experiments.measuring import DataOptions

    data = _taken(options, "data", "data_dir", "split")
    result = import_model(
        file, model_dir, data=DataOptions(**data) if data["data"] is not None else None, **options
    )
    print_result(result, as_json, [_accuracy_line(result), f"written to {model_dir}"])


@evoprune.command(epilog="Example: evoprune search run --model small --data cifar10 --images 5000")
@click.argument("run_dir")
@config_option
@click.option("--model", required=True, help="Model directory to search.")
@data_options("train")
@click.option("--generations", type=int, default=100, show_default=True, help="The paper's M.")
@click.option("--population", type=int, default=50, show_default=True, help="Initial individuals (I).")
@click.option("--parents", type=int, default=10, show_default=True, help="Selected to cross (K).")
@click.option("--mutation", type=float, default=0.0002, show_default=True, help="Flip probability of a bit (P).")
@click.option("--population-cap", type=int, default=300, show_default=True, help="Survivors (T).")
@click.option("--pairing", default="adjacent", show_default=True, help="adjacent (5 pairs of 10) or all (45).")
@click.option(
    "--initial-removal", type=float, default=0.02, show_default=True, help="Most filters lost at the start."
)
@click.option(
    "--islands", type=int, default=1, show_default=True, help="Populations of these sizes, evolving apart."
)
@click.option("--migrate-every", type=int, default=10, show_default=True, help="Generations between migrations.")
@click.option("--migrants", type=int, default=2, show_default=True, help="Best masks sent to the next island.")
@click.option("--threshold", type=float, default=2.0, show_default=True, help="Accuracy drop allowed, percent.")
@click.option("--lambda", "weight", type=float, default=0.5, show_default=True, help="Of Algorithm 1, 0 to 1.")
@click.option("--epsilon", "offset", type=float, default=10.0, show_default=True, help="Of Algorithm 1.")
@click.option("--prune", default="convolutions", show_default=True, help="Filters: convolutions or all.")
@click.option("--batch-size", type=int, help="Images in a batch; chosen for the device if not given.")
@precision_option
@click.option("--seed", type=int, default=0, show_default=True, help="Of the search and of --images.")
@click.option(
    "--stop-early/--no-stop-early",
    default=True,
    show_default=True,
    help="Stop evaluating a mask once it can no longer survive or become BEST; the search is the same.",
)
@click.option(
    "--race",
    type=float,
    default=0.0,
    show_default=True,
    metavar="DELTA",
    help="Also stop masks on a statistical bound. DELTA bounds the probability that this changes the search: "
    "with 0.05, at most 1 search in 20 stops any mask that would have mattered. 0 stops only what is certain.",
)
@backend_options
@json_option
def search(run_dir: str, as_json: bool, **options: Any) -> None:
    """Search the filter masks of a model in a new run directory RUN_DIR, a path or a URL (s3://, gs://, ...)."""
    from engine.config import SearchSettings
    from experiments.measuring import DataOptions
    from experiments.search_options import SearchOptions
    from experiments.search_run import start_search

    data = DataOptions(seed=options["seed"], **_taken(options, "data", "data_dir", "split", "images"))
    backend = _backend(options)
    settings = SearchSettings(**_taken(options, *(field.name for field in fields(SearchSettings))))
    chosen = SearchOptions(data=data, settings=settings, **options)
    with interruptible(_how_to_resume(run_dir)) as terminal:
        result = start_search(run_dir, chosen, backend, reporter=terminal)
    print_result(result, as_json, _summary_lines(result))


@evoprune.command(epilog="Example: evoprune resume run --generations 200")
@click.argument("run_dir")
@config_option
@click.option("--generations", type=int, help="The new total; the run's own if not given.")
@click.option("--model", help="Where the model is now, if it moved.")
@click.option("--data-dir", help="Where the data is now, if it moved.")
@backend_options
@json_option
@click.pass_context
def resume(context: click.Context, run_dir: str, as_json: bool, **options: Any) -> None:
    """Continue the search in RUN_DIR from its newest checkpoint, as if it had never stopped.

    Without --backend it goes on where it began.
    """
    from experiments.search_run import resume_search

    chosen = _backend(options)
    given = context.get_parameter_source("backend") is not click.core.ParameterSource.DEFAULT
    backend = chosen if given else None
    with interruptible(_how_to_resume(run_dir)) as terminal:
        result = resume_search(run_dir, backend=backend, reporter=terminal, **options)
    print_result(result, as_json, _summary_lines(result))


@evoprune.command(epilog="Example: evoprune status run")
@click.argument("run_dir")
@json_option
def status(run_dir: str, as_json: bool) -> None:
    """Say where the search in RUN_DIR stands, from its files alone."""
    from experiments.status import read_status

    result = read_status(run_dir, warn=lambda text: click.echo(f"evoprune: {text}", err=True))
    print_result(result, as_json, _summary_lines(result))


@evoprune.command(epilog="Example: evoprune export run pruned")
@click.argument("run_dir")
@click.argument("pruned_dir", type=MODEL_DIRECTORY)
@config_option
@click.option("--model", help="Where the run's model is now, if it moved.")
@click.option("--data-dir", help="Where the run's data is now, if it moved.")
@json_option
def export(run_dir: str, pruned_dir: Path, as_json: bool, **options: Any) -> None:
    """Write BEST of RUN_DIR as a physically smaller model directory PRUNED_DIR."""
    from experiments.exporting import export_run

    with interruptible("nothing was written.") as terminal:
        result = export_run(run_dir, pruned_dir, reporter=terminal, **options)
    lines = [
        f"{result['removed_filters']:,} filters removed",
        f"{result['parameters']:,} parameters ({result['parameter_drop']:.2f}% drop), "
        f"{result['macs']:,} MACs ({result['mac_drop']:.2f}% drop)",
        f"largest difference of logits to the masked network {result['max_logit_difference']:.2g}",
        f"written to {pruned_dir}",
    ]
    print_result(result, as_json, lines)


@evoprune.command(epilog="Example: evoprune evaluate pruned --data cifar10 --split test")
@click.argument("model_dir", type=MODEL_DIRECTORY)
@config_option
@data_options("test")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of --images.")
@json_option
def evaluate(model_dir: Path, as_json: bool, **options: Any) -> None:
    """Measure the accuracy of a model directory, pruned or not."""
    from experiments.measuring import DataOptions, evaluate_model

    result = evaluate_model(model_dir, DataOptions(**options))
    print_result(result, as_json, [_accuracy_line(result)])


@evoprune.command(epilog="Example: evoprune score small masks.npy --data cifar10 --images 2000")
@click.argument("model_dir", type=MODEL_DIRECTORY)
@click.argument("masks", type=FILE)
@config_option
@data_options("train")
@click.option("--prune", default="convolutions", show_default=True, help="Filters: convolutions or all.")
@precision_option
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of --images.")
@json_option
def score(model_dir: Path, masks: Path, as_json: bool, prune: str, precision: str, **options: Any) -> None:
    """Count the images that each mask of MASKS (.npy, bool[n, filters], True = keep) gets right."""
    from experiments.measuring import DataOptions, score_masks

    result = score_masks(model_dir, masks, DataOptions(**options), prune, precision)
    lines = [
        f"mask {index}: " + (f"{count:,} of {result['total']:,} correct" if count is not None else "failed")
        for index, count in enumerate(result["correct"])
    ]
    if (difference := result["precision_difference"]) is not None:
        lines.append(
            f"the unpruned network: {difference['correct']:,} correct in {result['precision']}, "
            f"{difference['float32_correct']:,} in float32, {difference['images_that_differ']:,} images differ"
        )
    lines.append(f"{result['seconds']:.2f} s after {result['compile_seconds']:.2f} s of compilation")
    print_result(result, as_json, lines)


@evoprune.command(epilog="Example: evoprune report run")
@click.argument("run_dir")
@click.option("--model", help="Where the run's model is now, if it moved.")
@click.option("--data-dir", help="Where the run's data is now, if it moved.")
@json_option
def report(run_dir: str, as_json: bool, **options: Any) -> None:
    """Write the paper's table and figures for RUN_DIR into RUN_DIR/report."""
    from experiments.report import make_report

    with interruptible("run the command again.") as terminal:
        result = make_report(run_dir, reporter=terminal, **options)
    print_result(result, as_json, [result["table"], f"written to {result['report']}"])


@evoprune.command(epilog="Example: evoprune demo demo-run")
@click.argument("directory", type=MODEL_DIRECTORY, default=Path("demo-run"))
@json_option
def demo(directory: Path, as_json: bool) -> None:
    """Train a small VGG on digits, search, export, evaluate and report, in DIRECTORY (demo-run)."""
    from experiments.demo import run_demo

    with interruptible("remove the directory to start again.") as terminal:
        result = run_demo(directory, reporter=terminal)
    print_result(result, as_json, result["lines"])


def _how_to_resume(run_dir: str) -> Callable[[], str]:
    def sentence() -> str:
        from engine.errors import RunStoreError
        from engine.run_directory import DESCRIPTION, RunDirectory

        try:
            begun = RunDirectory(run_dir).store.exists(DESCRIPTION)
        except RunStoreError:
            return f"if it had begun, 'evoprune resume {run_dir}' continues it."
        return (
            f"continue with 'evoprune resume {run_dir}'."
            if begun
            else "the search had not begun; start it again."
        )

    return sentence


def _taken(options: dict[str, Any], *names: str) -> dict[str, Any]:
    """Remove and return some options."""
    return {name: options.pop(name) for name in names}


def _backend(options: dict[str, Any]) -> Any:
    from engine.pool_options import PoolOptions
    from experiments.search_options import Backend

    name = options.pop("backend")
    names = ("address", "workers", "cpus_per_worker", "gpus_per_worker", "task_timeout", "runtime_env")
    pool = _taken(options, *names)
    return Backend(name, PoolOptions(**pool))


def _accuracy_line(result: dict[str, Any]) -> str:
    size = f"{result['parameters']:,} parameters, {result['macs']:,} MACs"
    if result["accuracy"] is None:
        return size
    return (
        f"{100 * result['accuracy']:.2f}% accuracy on {result['split']} "
        f"({result['correct']:,} of {result['total']:,}), {size}"
    )


def _summary_lines(result: dict[str, Any]) -> list[str]:
    from engine.pool_figures import PoolFigures

    state = "complete" if result["complete"] else "not complete"
    if result["best"] is None:
        return [f"no generation finished yet of {result['generations']}, {state}"]
    best = result["best"]
    lines = [
        f"generation {result['generation']} of {result['generations']}, {state}; "
        f"{result['evaluations']:,} masks evaluated, {result['failures']} failed, "
        f"{result['stopped']:,} stopped early",
        f"BEST: score {best['score']:.4f}, {best['removed_filters']:,} of {best['filters']:,} filters removed",
        f"  accuracy drop  {best['accuracy_drop']:6.2f}% on the fitness images",
        f"  parameter drop {best['parameter_drop']:6.2f}%, {best['parameters']:,} left",
        f"  MAC drop       {best['mac_drop']:6.2f}%, {best['macs']:,} left",
    ]
    if "islands" in result:
        # None where all of an island failed.
        scores = [island["highest_score"] for island in result["islands"]]
        lines.append(
            "  highest scores of the islands " + ", ".join("-" if s is None else f"{s:.4f}" for s in scores)
        )
    if "workers" in result:
        lines.append(f"  last generation: {PoolFigures(**result['workers'])}")
    held_out = result.get("held_out")
    if held_out is not None:
        lines.append(
            f"  held-out accuracy ({held_out['split']}) {100 * held_out['original_accuracy']:.2f}% -> "
            f"{100 * held_out['accuracy']:.2f}%"
        )
    return lines

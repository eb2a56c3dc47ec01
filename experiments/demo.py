"""The main job on embedded data: train a small VGG on digits, search, export, evaluate, report.

Command: ``evoprune demo``. About two minutes on 2 cores. Expect 97% test accuracy or more, at least 50% of
the parameters dropped within 2% accuracy drop, and an exported network exactly as accurate as the masked.
"""

from pathlib import Path
from typing import Any

from engine.errors import RunError
from experiments.exporting import export_run
from experiments.measuring import DataOptions, evaluate_model
from experiments.presets import PRESETS
from experiments.progress import Reporter, Silent
from experiments.report import make_report
from experiments.search_options import SearchOptions
from experiments.search_run import start_search
from experiments.training_run import NetworkOptions, train_model
from models.training_settings import TrainingSettings

NETWORK = NetworkOptions("vgg16", width_multiplier=0.125)
TRAINING = TrainingSettings(epochs=24, batch_size=64, augmentation="crop")
GENERATIONS = 30


def run_demo(directory: Path, *, reporter: Reporter | None = None) -> dict[str, Any]:
    """Fill ``directory`` with ``model``, ``run`` and ``pruned``.

    Returns:
        the results of each step, ``seconds``, and ``lines`` for people.

    Raises:
        RunError: the directory is not empty; or the exported accuracy differs from the masked one.
    """
    reporter = reporter or Silent()
    directory = Path(directory)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise RunError(f"{directory} is not empty; remove it or name another directory for the demo.")
    model, run, pruned = directory / "model", directory / "run", directory / "pruned"
    data = DataOptions("digits")
    reporter.message("Training a VGG-16 of width 0.125 on scikit-learn's digits.")
    trained = train_model(model, NETWORK, data, TRAINING, reporter=reporter)
    reporter.message("Searching its filter masks.")
    options = SearchOptions.preset(PRESETS["quality"], str(model), data, generations=GENERATIONS)
    searched = start_search(run, options, reporter=reporter)
    exported = export_run(run, pruned, reporter=reporter)
    evaluated = evaluate_model(pruned, DataOptions("digits", split="test"))
    masked = searched["held_out"]
    if evaluated["correct"] != masked["correct"]:
        raise RunError(
            f"the exported network gets {evaluated['correct']} test images right and the masked network "
            f"{masked['correct']}; please report this as a defect."
        )
    report = make_report(run, reporter=reporter)
    lines = [
        report["table"],
        "",
        f"trained to {100 * trained['accuracy']:.2f}% test accuracy; BEST drops "
        f"{exported['parameter_drop']:.2f}% of the parameters at {searched['best']['accuracy_drop']:.2f}% "
        "accuracy drop on the training images",
        f"exported network: {evaluated['correct']} of {evaluated['total']} test images right, exactly as many "
        "as the masked network",
        f"report: {report['report']}",
    ]
    return {
        "train": trained,
        "search": searched,
        "export": exported,
        "evaluate": evaluated,
        "report": report,
        "lines": lines,
    }

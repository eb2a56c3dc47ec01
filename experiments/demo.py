"""The main job on embedded data: train a small VGG on digits, search, export, evaluate, report.

Command: ``evoprune demo``; about three minutes on 2 cores. Expect 97% test accuracy or more, at least 50% of the
parameters dropped within 2% accuracy drop, and an exported network exactly as accurate as the search counted.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import RunError
from experiments.data.options import DataOptions
from experiments.measurement.measuring import Measurement, evaluate_model
from experiments.progress import Reporter, Silent
from experiments.report.run import make_report
from experiments.runs.active import SearchResult
from experiments.runs.exporting.export import ExportResult, export_run
from experiments.runs.options import SearchOptions
from experiments.runs.search import start_search
from experiments.training.network_options import NetworkOptions
from experiments.training.train import TrainingResult, train_model
from models.training.settings import TrainingSettings

NETWORK = NetworkOptions("vgg11", width_multiplier=0.125)
TRAINING = TrainingSettings(epochs=24, batch_size=64, augmentation="crop")
GENERATIONS = 30


@dataclass(frozen=True)
class DemoResult:
    """The result of each step, and ``lines`` for people."""

    train: TrainingResult
    search: SearchResult
    export: ExportResult
    evaluate: Measurement
    report: dict[str, Any]
    lines: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        steps = {name: getattr(self, name).to_json() for name in ("train", "search", "export", "evaluate")}
        return {**steps, "report": self.report, "lines": list(self.lines)}


def run_demo(directory: Path, *, reporter: Reporter | None = None) -> DemoResult:
    """Fill ``directory`` with ``model``, ``run`` and ``pruned``.

    Raises:
        RunError: the directory is not empty; or the exported accuracy differs from the masked one.
    """
    reporter = reporter or Silent()
    directory = Path(directory)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise RunError(f"{directory} is not empty; remove it or name another directory for the demo.")
    model, run, pruned = directory / "model", directory / "run", directory / "pruned"
    data = DataOptions("digits")
    reporter.message("training a VGG-11 of width 0.125 on scikit-learn's digits")
    trained = train_model(model, NETWORK, data, TRAINING, reporter=reporter)
    reporter.message("searching its filter masks")
    options = SearchOptions.preset("quality", str(model), data, generations=GENERATIONS)
    searched = start_search(run, options, reporter=reporter)
    exported = export_run(run, pruned, reporter=reporter)
    evaluated = evaluate_model(pruned, DataOptions("digits", split="test"), reporter=reporter)
    held_out = searched.held_out
    counted = held_out and (held_out.correct if exported.mask == "BEST" else held_out.result_correct)
    if evaluated.correct != counted:
        raise RunError(
            f"the exported network gets {evaluated.correct} test images right and the search counted {counted}; "
            "please report this as a defect."
        )
    report = make_report(run, reporter=reporter)
    lines = (
        report["table"],
        "",
        f"trained to {100 * trained.accuracy:.2f}% test accuracy; {exported.mask} drops "
        f"{exported.parameter_drop:.2f}% of the parameters at {exported.accuracy_drop:.2f}% "
        "accuracy drop on the training images",
        f"exported network: {evaluated.correct} of {evaluated.total} test images right, exactly as many "
        "as the search counted",
        f"report: {report['report']}",
    )
    return DemoResult(trained, searched, exported, evaluated, report, lines)

"""The results of a run: what RESULT or BEST removes, held-out accuracy, speed, and the trade-off."""

from dataclasses import dataclass
from typing import Any, Self

from engine.errors import DataError
from experiments.data.facts import DataFacts
from experiments.data.loading import TEST_SPLIT, held_out_images
from experiments.progress import Reporter
from experiments.report.reported_run import ReportedRun
from experiments.report.results.class_results import ClassResults, class_results, class_results_of
from experiments.report.results.findings import findings
from experiments.report.results.layers import layer_widths, stage_savings
from experiments.report.results.speed import measure_speed
from experiments.report.results.table import Measured, result_data
from experiments.report.results.trade_off import TradeOff
from experiments.runs.exporting.pick import front_among_all
from experiments.runs.finish.result import Result
from experiments.runs.finish.weights import result_of, weights_of
from experiments.runs.held_out import NO_ACCURACY, measure_held_out
from experiments.runs.knowledge.compensation import network_of
from experiments.runs.watching.front_points import front_json
from experiments.runs.watching.status import best_to_json
from models.cost import network_cost
from models.model_directory import Model
from models.pruning import prune


@dataclass(frozen=True)
class Results:
    """The results of a run.

    Attributes:
        best: figures of BEST on the fitness images.
        result: figures of RESULT; None for a run without.
        base: the original network on the held-out images.
        pruned: the network of RESULT, or of BEST where there is no other RESULT, on the same images.
        findings: sentences for a reader who reads nothing else.
        layers: filters before and after.
        stages: parameters and MACs that are left.
        trade_off: drops of all masks that were scored.
        front: the masks that no other mask surpasses, as JSON.
        classes: results by class, or None.
        speed: measured times of both networks.
        left_out: sentences on what could not be measured here.
        split: that accuracies are measured on.
        facts: on the fitness images and the held-out images.
    """

    best: dict[str, Any]
    result: Result | None
    base: Measured
    pruned: Measured
    findings: list[str]
    layers: list[dict[str, Any]]
    stages: list[dict[str, Any]]
    trade_off: TradeOff
    front: dict[str, Any]
    classes: ClassResults | None
    speed: dict[str, Any]
    left_out: list[str]
    split: str
    facts: DataFacts

    @classmethod
    def measure(cls, source: ReportedRun, reporter: Reporter) -> Self:
        """Measure what leaves a run; held-out accuracy is measured once and kept in the run.

        Raises:
            RunError: the journal is damaged, or the weights of RESULT are.
        """
        options, state, network = source.options, source.state, source.problem.model.network
        mask = state.best.individual.mask
        result = result_of(source.saved)
        leaving = None
        if result is not None and not result.is_best:
            leaving = weights_of(source.run, source.problem, result)
        held_out, remark = measure_held_out(source.run, source.problem, mask, source.saved.compensation, leaving)
        if leaving is None:
            keeps = source.problem.genome.layout.split(mask)
            smaller = prune(network_of(network, keeps, source.saved.compensation), keeps)
        else:
            mask, smaller = leaving.mask, leaving.model.network
        original_correct = correct = total = None
        facts = source.saved.facts
        if held_out is not None:
            facts = facts.adding(warnings=held_out.facts.warnings, remarks=held_out.facts.remarks)
            original_correct, total = held_out.original_correct, held_out.total
            correct = held_out.correct if leaving is None else held_out.result_correct
        split = TEST_SPLIT if held_out is None else held_out.split
        base = Measured(original_correct, total, *network_cost(network))
        pruned = Measured(correct, total, *network_cost(smaller))
        with source.reading_journal():
            drop = result_data(base, pruned, split=split)["accuracy_percent"]["drop_percent"]
            found = findings(state, options, source.rows, drop, facts, result)
        result_model = None if leaving is None else leaving.model
        missing = None if held_out else remark.removeprefix(NO_ACCURACY)
        classes, left_out = _by_class(source, result_model, missing)
        front = front_among_all(state, source.problem.genome) if state.front is None else state.front
        return cls(
            best=best_to_json(state),
            result=result,
            base=base,
            pruned=pruned,
            findings=found,
            layers=layer_widths(network, source.problem.genome.layout, mask),
            stages=stage_savings(network, smaller),
            trade_off=TradeOff.of(state, source.problem.genome),
            front=front_json(front, front.masks(state.archive)),
            classes=classes,
            speed=measure_speed(network, smaller, source.problem.model.normalisation),
            left_out=left_out,
            split=split,
            facts=facts,
        )

    def to_json(self, threshold: float) -> dict[str, Any]:
        """Plain values; ``threshold`` in percent counts the masks within it."""
        return {
            "best": self.best,
            "result": None if self.result is None else self.result.to_json(),
            "findings": self.findings,
            "measurements": result_data(self.base, self.pruned, split=self.split),
            "layers": self.layers,
            "stages": self.stages,
            "trade_off": self.trade_off.to_json(threshold),
            "front": self.front,
            "classes": None if self.classes is None else self.classes.to_json(),
            "speed": self.speed,
            "left_out": self.left_out,
            **self.facts.to_json(),
        }


def _by_class(
    source: ReportedRun, smaller: Model | None, missing: str | None
) -> tuple[ClassResults | None, list[str]]:
    """Results by class, or a sentence on why there are none.

    Args:
        source: the run.
        smaller: the network of RESULT; None for BEST.
        missing: why there are no counts either; else None.
    """
    model, mask, options = source.problem.model, source.state.best.individual.mask, source.options
    if missing is None:
        try:
            images, missing = held_out_images(options.data, model)
            if images is not None and smaller is not None:
                return class_results_of(model, smaller, images), []
            if images is not None:
                return class_results(model, images, mask, options.prune, source.saved.compensation), []
        except DataError as error:
            missing = str(error)
    return None, [f"Accuracy by class is left out: {missing}"]

"""Results on standard output: one JSON object, or lines for people."""

import json
from typing import TYPE_CHECKING, Any

import click

from experiments.cli import standard_output
from experiments.cli.options import spelled_for
from experiments.spelling import ACCURACY, measured_as

if TYPE_CHECKING:
    from experiments.runs.active import SearchResult
    from experiments.runs.held_out import HeldOut
    from experiments.runs.watching.following import FollowedStatus
    from experiments.runs.watching.status import SearchStatus


def print_result(result: Any, as_json: bool, lines: list[str]) -> None:
    """The result of a command: a JSON object, or a dataclass with ``to_json``; or ``lines`` for people."""
    if as_json:
        standard_output.write(json.dumps(_entries(result), allow_nan=False))
        return
    context = click.get_current_context(silent=True)
    measure = _entries(result).get("measure", ACCURACY)
    standard_output.write("\n".join(measured_as(spelled_for(context, line), measure) for line in lines))


def _entries(result: Any) -> dict[str, Any]:
    return result if isinstance(result, dict) else result.to_json()


def accuracy_line(result: Any) -> str:
    """Accuracy and size of a network, from a :class:`~experiments.measurement.measuring.Measurement` or like."""
    size = f"{result.parameters:,} parameters, {result.macs:,} MACs"
    if result.accuracy is None:
        return size
    counts = f"{result.correct:,} of {result.total:,}"
    return f"{100 * result.accuracy:.2f}% accuracy on {result.split} ({counts}), {size}"


def data_lines(result: Any) -> list[str]:
    """How labels were matched, what makes a result doubtful, and what was left out of the data or assumed.

    Printed behind the figures. ``result``: as for :func:`print_result`, with the entries of
    :class:`experiments.data.facts.DataFacts`.
    """
    facts = _entries(result)
    matched = [] if facts["matching"] is None else [f"labels matched {facts['matching']}"]
    warnings = [f"warning: {warning}" for warning in facts["warnings"]]
    return [*matched, *warnings, *(f"note: {remark}" for remark in facts["remarks"])]


def search_lines(result: "SearchResult") -> list[str]:
    """What a search came to: BEST and RESULT, each with its accuracy on images that the search never saw."""
    held_out = result.held_out
    after_best = [] if held_out is None else [_held_out_line(held_out, held_out.correct)]
    after_result = []
    if held_out is not None and held_out.result_correct is not None:
        after_result = [_held_out_line(held_out, held_out.result_correct)]
    return [
        *summary_lines(result),
        *after_best,
        *result_lines(result),
        *after_result,
        *data_lines(result),
    ]


def status_lines(status: "SearchStatus") -> list[str]:
    """How far a search has come, its BEST and its RESULT."""
    return [*summary_lines(status), *result_lines(status)]


def summary_lines(status: "SearchStatus") -> list[str]:
    """How far a search has come, and its BEST."""
    from experiments.runs.watching.status import ancestry_text
    from fitness.objective.rewards import OBJECTIVES

    state = "complete" if status.complete else "not complete"
    if status.finishing:
        candidates = "1 candidate" if status.judged == 1 else f"{status.judged or 0} candidates"
        state = f"in its finish, with {candidates} judged"
    if status.out_of_patience:
        state += " as there was no more progress (`patience`)"
    best = status.best
    if best is None:
        begun = f"{status.evaluations:,} masks evaluated for generation 0"
        return [f"no generation finished yet of {status.generations}, {state}; {begun}"]
    lines = [
        f"generation {status.generation} of {status.generations}, {state}; "
        f"{status.evaluations:,} masks evaluated, {status.failures} failed, {status.stopped:,} stopped early",
        f"BEST: score {best['score']:.4f} for dropped {OBJECTIVES[status.objective].noun}, "
        f"{best['removed_filters']:,} of {best['filters']:,} filters removed",
        f"  accuracy drop  {best['accuracy_drop']:6.2f}% on the fitness images",
        f"  parameter drop {best['parameter_drop']:6.2f}%, {best['parameters']:,} left",
        f"  MAC drop       {best['mac_drop']:6.2f}%, {best['macs']:,} left",
    ]
    if "latency_drop" in best:
        lines.append(f"  latency drop   {best['latency_drop']:6.2f}%, {best['latency_ms']:.3f} ms left")
    if "ancestry" in best:
        lines.append(f"  removed filters come from {ancestry_text(best['ancestry'])}")
    if status.islands is not None:
        # None where all masks of an island failed.
        scores = [island["highest_score"] for island in status.islands]
        lines.append(
            "  highest scores of the islands " + ", ".join("-" if s is None else f"{s:.4f}" for s in scores)
        )
    if status.front is not None:
        lines.append(f"  front of {status.front['size']:,} masks, hypervolume {status.front['hypervolume']:.4f}")
    if status.workers is not None:
        lines.append(f"  last generation: {status.workers}")
    return lines


def result_lines(status: "SearchStatus") -> list[str]:
    """The RESULT of a search; empty where there is none."""
    found = status.result
    if found is None:
        return []
    if found.is_best:
        return ["RESULT: BEST, as no candidate of the finish holds" if found.judged else "RESULT: BEST"]
    weights = "weights as searched"
    if found.refit_images is not None:
        weights = f"refitted to {found.refit_images:,} training images"
    lines = [
        f"RESULT: {found.removed_filters:,} of {found.filters:,} filters removed, {weights}; the best of "
        f"{found.judged} candidates that were judged",
        f"  accuracy drop  {found.accuracy_drop:6.2f}% on the fitness images",
    ]
    if (check := found.check) is not None:
        low, high = check.interval
        seen = "that the search did not see" if check.unseen else "that the refit did not see"
        lines.append(
            f"                 {check.accuracy_drop:6.2f}% on {check.total:,} check images {seen} "
            f"(95% interval {low:.2f} to {high:.2f})"
        )
    figures = found.figures
    lines += [
        f"  parameter drop {figures['parameter_drop']:6.2f}%, {figures['parameters']:,} left",
        f"  MAC drop       {figures['mac_drop']:6.2f}%, {figures['macs']:,} left",
    ]
    if "latency_drop" in figures:
        lines.append(f"  latency drop   {figures['latency_drop']:6.2f}%, {figures['latency_ms']:.3f} ms left")
    return lines


def _held_out_line(found: "HeldOut", correct: int) -> str:
    """The accuracy of BEST or RESULT on images that the search never saw."""
    before, after = (100 * count / found.total for count in (found.original_correct, correct))
    return f"  held-out accuracy ({found.split}) {before:.2f}% -> {after:.2f}%"


def pace_lines(status: "FollowedStatus") -> list[str]:
    """The pace of a search; empty before there is a generation."""
    if status.pace is None:
        return []
    rest = "" if status.complete else f", about {_duration(status.pace.seconds_left)} left"
    return [f"  {status.pace.seconds_a_generation:.1f} s a generation{rest}"]


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def model_lines(model: Any) -> list[str]:
    """A model, from a :class:`experiments.measurement.description.ModelDescription`."""
    height, width, channels = model.input_shape
    lines = [
        f"{model.network}, {model.origin or 'of unknown origin'}, for images of {height}x{width}x{channels} and "
        f"{len(model.classes):,} classes" + ("" if model.classes_named else " without names"),
        f"{model.parameters:,} parameters, {model.macs:,} MACs, {model.prunable_filters:,} prunable filters, "
        f"{model.prunable_neurons:,} prunable neurons",
    ]
    if pruned := model.notes.get("pruned_from"):
        lines.append(
            f"pruned from {pruned['parameters']:,} parameters "
            f"({_drop(pruned['parameters'], model.parameters)} drop) and {pruned['macs']:,} MACs "
            f"({_drop(pruned['macs'], model.macs)} drop)"
        )
    if imported := model.notes.get("imported_from"):
        lines.append(f"imported from {imported}")
    data = model.notes.get("data") or {}
    if "source" in data:
        lines.append(f"trained on {data['images']:,} images of {data['source']}, split {data['split']}")
    lines += [
        f"{100 * found['accuracy']:.2f}% accuracy on {split} ({found['correct']:,} of {found['total']:,})"
        for split, found in model.accuracies.items()
    ]
    width = max(len("layer"), *(len(layer.name) for layer in model.layers))
    lines += ["", f"{'layer':{width}}  {'parameters':>12}  {'MACs':>13}  {'filters':>7}"]
    lines += [
        f"{layer.name:{width}}  {layer.parameters:12,}  {layer.macs:13,}  {layer.filters or '-':>7}"
        for layer in model.layers
    ]
    return [*lines, *model.remarks]


def _drop(before: int, after: int) -> str:
    return f"{100 * (before - after) / before:.2f}%"

"""The findings of a run as sentences, for a reader who reads nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.search.state import SearchState
from experiments.data.facts import DataFacts
from experiments.report.figures.style import percent
from experiments.runs.finish.result import Result
from experiments.runs.options import SearchOptions
from experiments.runs.patience import Patience


def findings(
    state: SearchState,
    options: SearchOptions,
    rows: Sequence[Mapping[str, Any]],
    held_out_drop: float | None,
    facts: DataFacts,
    result: Result | None = None,
) -> list[str]:
    """Sentences on what leaves, whether its accuracy holds elsewhere, and how the search stands.

    Sentences on the images follow.

    Args:
        state: of the search.
        options: of the search.
        rows: of the journal.
        held_out_drop: accuracy drop of RESULT, or of BEST where there is no other RESULT, on the held-out images
            in percent; None where there are none.
        facts: what was noticed about the images.
        result: RESULT; None for a run without.
    """
    best = state.best
    mask, figures = best.individual.mask, best.figures
    removed, drop = int((~mask).sum()), float(figures["accuracy_drop"])
    if result is not None and not result.is_best:
        said = _of_result(result, options)
        removed, drop = result.removed_filters, result.accuracy_drop
    elif removed == 0:
        said = ["BEST removes nothing: no mask within the threshold was better than the original network."]
    else:
        said = [
            f"BEST removes {removed:,} of {len(mask):,} filters without retraining, at an accuracy drop of "
            f"{percent(figures['accuracy_drop'])} on the fitness images (threshold "
            f"{options.threshold:g}%)."
        ]
    if held_out_drop is not None and removed:
        over = held_out_drop >= options.threshold > drop
        said.append(
            f"On held-out images, which the search never saw, the accuracy drop is {percent(held_out_drop)}"
            + (
                ", beyond the threshold: the search fits its fitness images; more fitness images narrow the gap."
                if over
                else "."
            )
        )
    if Patience(options.patience, rows).exhausted:
        said.append(
            f"The search ended in generation {state.generation:,} of {options.generations:,}: "
            f"{options.patience:,} generations had brought no progress (patience)."
        )
    elif options.finish and result is None and state.generation >= options.generations:
        said.append("The search is not complete: its finish is not done, and BEST stands in for RESULT.")
    elif state.generation < options.generations:
        said.append(f"The search is not complete: generation {state.generation:,} of {options.generations:,}.")
    if (since := last_change(rows)) is not None and removed:
        still = state.generation - since <= max(1, state.generation // 10)
        said.append(
            f"BEST was found in generation {since:,} of {state.generation:,}"
            + ("; it was still getting better, so more generations may find more." if still else ".")
        )
    said += [f"Warning: {warning}" for warning in facts.warnings]
    return [*said, f"Labels are matched {facts.matching}.", *(f"Note: {remark}" for remark in facts.remarks)]


def _of_result(result: Result, options: SearchOptions) -> list[str]:
    weights = "with the weights of the search"
    if result.refit_images is not None:
        weights = f"refitted to {result.refit_images:,} training images without a gradient"
    said = [
        f"RESULT removes {result.removed_filters:,} of {result.filters:,} filters, {weights}, at an accuracy "
        f"drop of {percent(result.accuracy_drop)} on the fitness images (threshold {options.threshold:g}%)."
    ]
    if (check := result.check) is not None:
        low, high = check.interval
        seen = "neither the search nor the refit" if check.unseen else "the refit did not see and the search"
        said.append(
            f"On {check.total:,} training images that {seen} saw, the accuracy drop is "
            f"{percent(check.accuracy_drop)} (95% interval {percent(low)} to {percent(high)})."
        )
    return said


def last_change(rows: Sequence[Mapping[str, Any]]) -> int | None:
    """The generation in which the present BEST was found; None if BEST never changed."""
    for earlier, later in zip(reversed(rows[:-1]), reversed(rows[1:]), strict=True):
        if earlier["best"].get("sha256") != later["best"].get("sha256"):
            return int(later["generation"])
    return None

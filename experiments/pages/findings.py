"""What a reader should know of a run before anything else, as sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.state import SearchState
from experiments.patience import Patience
from experiments.plot_style import percent
from experiments.search_options import SearchOptions


def findings(
    state: SearchState,
    options: SearchOptions,
    rows: Sequence[Mapping[str, Any]],
    held_out_drop: float | None,
) -> list[str]:
    """Sentences about BEST: what it removes, whether its accuracy holds elsewhere, and how the search stands.

    ``held_out_drop`` is BEST's accuracy drop on the held-out images in percent, None where there are none.
    """
    best = state.best
    mask, figures = best.individual.mask, best.figures
    removed = int((~mask).sum())
    if removed == 0:
        said = ["BEST removes nothing: no mask within the threshold was better than the original network."]
    else:
        said = [
            f"BEST removes {removed:,} of {len(mask):,} filters without retraining, at an accuracy drop of "
            f"{percent(figures['accuracy_drop'])} on the images that it was chosen on (threshold "
            f"{options.threshold:g}%)."
        ]
    if held_out_drop is not None and removed:
        over = held_out_drop >= options.threshold > figures["accuracy_drop"]
        said.append(
            f"On images that the search never saw the accuracy drop is {percent(held_out_drop)}"
            + (
                ", beyond the threshold: the search fits the images it sees; more of them narrow the gap."
                if over
                else "."
            )
        )
    if Patience(options.patience, rows).exhausted:
        said.append(
            f"The search ended in generation {state.generation:,} of {options.generations:,}: "
            f"{options.patience:,} generations had brought no progress (--patience)."
        )
    elif state.generation < options.generations:
        said.append(f"The search is not complete: generation {state.generation:,} of {options.generations:,}.")
    if (since := last_change(rows)) is not None and removed:
        still = state.generation - since <= max(1, state.generation // 10)
        said.append(
            f"BEST was found in generation {since:,} of {state.generation:,}"
            + ("; it was still getting better, so more generations may find more." if still else ".")
        )
    return said


def last_change(rows: Sequence[Mapping[str, Any]]) -> int | None:
    """The generation in which BEST became what it is; None if it always was."""
    for earlier, later in zip(reversed(rows[:-1]), reversed(rows[1:]), strict=True):
        if earlier["best"].get("sha256") != later["best"].get("sha256"):
            return int(later["generation"])
    return None

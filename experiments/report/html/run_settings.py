"""The settings of a search in words."""

from engine.search.operators.mutation import BITS, named_mutations
from engine.search.settings import SearchSettings
from engine.search.state import SearchState
from experiments.runs.knowledge.latency import LATENCY
from experiments.runs.options import NONE, SearchOptions
from experiments.runs.watching.status import ancestry_text
from fitness.objective.rewards import OBJECTIVES

ANCESTRY = "the filters that BEST removes come from"


def run_settings(options: SearchOptions, state: SearchState) -> dict[str, str]:
    """Setting -> value, with the state of the search, in the order of the page."""
    settings, best = options.settings, state.best.to_json()
    islands = {"islands": _islands(settings)} if settings.islands > 1 else {}
    ancestry = {ANCESTRY: ancestry_text(best["ancestry"])} if "ancestry" in best else {}
    images = "all" if options.data.images is None else f"{options.data.images:,}"
    front = {"front": _front(options, state)} if options.aims else {}
    return {
        "generations": f"{state.generation}",
        "masks evaluated": f"{state.evaluations:,}, {state.stopped:,} of them stopped early",
        "stopping early": _stopping(settings),
        "fitness images": f"{images} of the {options.data.split} split",
        "accuracy drop of BEST": f"{best['accuracy_drop']:.2f}% (threshold {options.threshold:g}%)",
        "objective": _objective(options),
        "score of BEST": f"{best['score']:.4f}",
        **({"finish": _finish(options, state)} if options.finish else {}),
        **front,
        "compensation of removed filters": options.compensate,
        **islands,
        **({"widths": f"multiples of {settings.round_to}, or whole layers"} if settings.round_to > 1 else {}),
        "initial population": _initial_population(options),
        **ancestry,
        "parents": f"{settings.parents}, pairing {settings.pairing}",
        "crossover": settings.crossover,
        "mutation": _mutation(settings),
        "population cap": f"{settings.population_cap}",
        "lambda, epsilon": f"{options.weight:g}, {options.offset:g}",
        "seed": f"{settings.seed}",
        "mask (SHA-256 of its bits)": best["sha256"],
    }


def _finish(options: SearchOptions, state: SearchState) -> str:
    """Whether candidates of the finish are refitted, and how far the search went for them."""
    told = "candidates are judged" if options.compensate == NONE else "candidates are refitted and judged"
    if state.reach is None:
        return told
    return f"{told}; the last generation rewarded masks up to an accuracy drop of {state.reach:.2f}%"


def _objective(options: SearchOptions) -> str:
    noun = OBJECTIVES[options.objective].noun
    batch = f", batches of {options.latency_batch}" if options.objective == LATENCY else ""
    return f"to drop {noun}{batch}"


def _initial_population(options: SearchOptions) -> str:
    settings, ladders = options.settings, options.ladders
    near = f"up to {100 * settings.initial_removal:g}% removed"
    if not options.seeds:
        return f"{settings.population}, {near}"
    orders = f"by {', '.join(options.seeds)}, globally and by layer"
    if any(ladders.floors):
        orders += f", of each layer {' or '.join(f'{100 * floor:g}%' for floor in ladders.floors)} kept at least"
    if ladders.climbs:
        border = f"an accuracy drop of {options.limit:g}%" if options.aims else "the threshold"
        return f"{settings.population} {orders}, below the largest removals within {border}"
    seeds = settings.population // 2
    largest = f"up to {100 * ladders.largest:g}% removed"
    return f"{settings.population - seeds}, {near}, and {seeds} {orders}, {largest}"


def _mutation(settings: SearchSettings) -> str:
    names = named_mutations(settings.mutate)
    return ", ".join(f"bits, each with {settings.mutation:g}" if name == BITS else name for name in names)


def _islands(settings: SearchSettings) -> str:
    masks = "the best mask" if settings.migrants == 1 else f"the best {settings.migrants} masks"
    often = "every generation" if settings.migrate_every == 1 else f"every {settings.migrate_every} generations"
    shared = "each island has its own initial population, parents and cap"
    return f"{settings.islands}, sending {masks} to the next {often}; {shared}"


def _front(options: SearchOptions, state: SearchState) -> str:
    size = "" if state.front is None else f"{len(state.front):,} masks: "
    return f"{size}{', '.join(options.aims)}, by NSGA-II, up to an accuracy drop of {options.limit:g}%"


def _stopping(settings: SearchSettings) -> str:
    if not settings.stop_early:
        return "off"
    return f"race, error probability {settings.race:g}" if settings.race > 0 else "exact"

"""``evoprune search``: begin a search."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from experiments.cli_options import (
    backend_options,
    chosen_backend,
    compensation_options,
    config_option,
    data_options,
    json_option,
    model_class_option,
    objective_options,
    precision_option,
    print_result,
    taken,
)
from experiments.commands.interruption import how_to_resume, interruptible
from experiments.commands.lines import summary_lines
from experiments.effects import Effect, check_effects
from experiments.presets import PRESETS, filled, usual_values


@click.command(epilog="Example: evoprune search run --model small --data cifar10 --images 5000")
@click.argument("run_dir")
@config_option
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    help="Values of other options, by name (docs/search-quality.md); options that are given win. Without one it "
    "is quality, for a network of your own masks, and with --objectives of a front's sizes. The defaults below "
    "are those of paper.",
)
@click.option("--model", required=True, help="Model directory to search.")
@model_class_option()
@data_options("train")
@click.option("--generations", type=int, default=100, show_default=True, help="The paper's M.")
@click.option(
    "--patience",
    type=int,
    default=0,
    metavar="N",
    help="Stop sooner, after N generations in which neither BEST's score nor the front's hypervolume rose by a "
    "thousandth; if not given never.",
)
@click.option("--population", type=int, default=50, show_default=True, help="Initial individuals (I).")
@click.option("--parents", type=int, default=10, show_default=True, help="Selected to cross (K).")
@click.option("--mutation", type=float, default=0.0002, show_default=True, help="Flip probability of a bit (P).")
@click.option("--population-cap", type=int, default=300, show_default=True, help="Survivors (T).")
@click.option("--pairing", default="adjacent", show_default=True, help="adjacent (5 pairs of 10) or all (45).")
@click.option(
    "--initial-removal", type=float, default=0.02, show_default=True, help="Most filters lost at the start."
)
@click.option(
    "--seed-with",
    metavar="METHODS",
    help="Importances that half of the initial individuals come from, as taylor,magnitude; they are computed on "
    "fitness images. Without it all are near the original, as in the paper.",
)
@click.option(
    "--floor",
    metavar="SHARES",
    help="Shares of each layer's filters that stay in seeds, as 0,0.1,0.2; dealt out evenly. The search may "
    "remove more.",
)
@click.option(
    "--climb/--no-climb",
    default=False,
    show_default=True,
    help="Find the largest removal within the threshold along each importance first, and make all initial "
    "individuals from there.",
)
@click.option(
    "--mutate",
    default="bits",
    show_default=True,
    metavar="MUTATIONS",
    help="bits is the paper's; budget removes filters of a layer and returns some to another, by the importances "
    "of --seed-with; or both, joined by a comma.",
)
@click.option(
    "--crossover",
    default="point",
    show_default=True,
    help="point is the paper's; layers takes whole layers from either parent.",
)
@click.option(
    "--islands", type=int, default=1, show_default=True, help="Populations of these sizes, evolving apart."
)
@click.option("--migrate-every", type=int, default=10, show_default=True, help="Generations between migrations.")
@click.option("--migrants", type=int, default=2, show_default=True, help="Best masks sent to the next island.")
@objective_options
@click.option(
    "--objectives",
    metavar="LIST",
    help="Search for a whole front by NSGA-II: accuracy,parameters or accuracy,macs or accuracy,parameters,macs.",
)
@click.option(
    "--front-limit",
    type=float,
    help="Largest accuracy drop of interest on that front, percent; if not given 10, or five thresholds if that "
    "is more.",
)
@click.option("--threshold", type=float, default=2.0, show_default=True, help="Accuracy drop allowed, percent.")
@click.option("--lambda", "weight", type=float, default=0.5, show_default=True, help="Of Algorithm 1, 0 to 1.")
@click.option("--epsilon", "offset", type=float, default=10.0, show_default=True, help="Of Algorithm 1.")
@click.option("--prune", default="convolutions", show_default=True, help="Filters: convolutions or all.")
@click.option(
    "--round-to",
    type=int,
    default=1,
    show_default=True,
    help="Each layer keeps a multiple of so many filters, or all; 8 suits most hardware.",
)
@click.option("--batch-size", type=int, help="Images in a batch; chosen for the device if not given.")
@precision_option
@compensation_options
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
@click.pass_context
def search(context: click.Context, run_dir: str, preset: str | None, as_json: bool, **options: Any) -> None:
    """Search the filter masks of a model in a new run directory RUN_DIR, a path or a URL (s3://, gs://, ...)."""
    from engine.config import SearchSettings
    from experiments.measuring import DataOptions
    from experiments.search_options import SearchOptions
    from experiments.search_run import start_search
    from models.store import load

    if preset is not None:
        options = filled(context, options, PRESETS[preset])
    else:
        readers = any(stage.readers() for stage in load(Path(options["model"])).network.stages)
        usual = usual_values(compensable=readers, front=options["objectives"] is not None)
        options = filled(context, options, usual)
    check_effects(context, _effects(options))
    data = DataOptions(seed=options["seed"], **taken(options, "data", "data_dir", "split", "images"))
    backend = chosen_backend(context, options)
    settings = SearchSettings(**taken(options, *(field.name for field in fields(SearchSettings))))
    chosen = SearchOptions(data=data, settings=settings, **options)
    with interruptible(how_to_resume(run_dir)) as terminal:
        result = start_search(run_dir, chosen, backend, reporter=terminal)
    print_result(result, as_json, summary_lines(result))


def _effects(options: Mapping[str, Any]) -> list[Effect]:
    bits = "bits" in options["mutate"].split(",")
    islands = options["islands"] > 1, "without --islands of 2 or more"
    return [
        Effect("mutation", bits, "without --mutate bits, which --preset paper has"),
        Effect("initial_removal", not options["climb"], "with --climb, which all presets but paper have"),
        Effect("compensation_images", options["compensate"] != "none", "without --compensate"),
        Effect("latency_batch", options["objective"] == "latency", "without --objective latency"),
        Effect("migrate_every", *islands),
        Effect("migrants", *islands),
    ]

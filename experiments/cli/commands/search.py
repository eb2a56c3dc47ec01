"""``evoprune search``: begin a search."""

from dataclasses import fields
from typing import Any

import click
import cloup

from engine.cluster.options import PoolOptions
from engine.search.operators.mutation import MUTATIONS
from engine.search.settings import SearchSettings
from experiments.cli.config import config_option
from experiments.cli.given import Effect, check_effects, chosen_backend, compensation_effects, given
from experiments.cli.interruption import how_to_resume, interruptible
from experiments.cli.options import Decorator, built, options_of, together
from experiments.cli.output import print_result, search_lines
from experiments.cli.shared_options import json_option, model_class_option
from experiments.data.options import DataOptions
from experiments.progress import Reporter
from experiments.runs.options import Backend, SearchOptions
from experiments.runs.presets import PAPER, PRESETS, USUAL, preset_values

_DEFAULTS = PRESETS[USUAL]
_OWN = {field.name: field.default for owner in (SearchOptions, SearchSettings) for field in fields(owner)}


def _remark(value: Any) -> str:
    words = {None: "none", False: "no", True: "yes"}
    return f" ({PAPER}: {words[value] if value is None or isinstance(value, bool) else value})"


_REMARKS = {name: _remark(_OWN[name]) for name, value in _DEFAULTS.items() if _OWN[name] != value}
_HELPS = {
    "images": "Number of images on which masks are scored, picked at random by `seed`. As many as the threshold "
    "needs if not given; all without a finish."
}


def _options(owner: type, *names: str) -> Decorator:
    return options_of(owner, only=names, defaults=_DEFAULTS, helps=_HELPS, remarks=_REMARKS)


_preset_option = cloup.option(
    "--preset",
    metavar=f"[{'|'.join(PRESETS)}]",
    help="A named set of option values (docs/search-quality.md). Options that you give override it. Without it, "
    f"the search uses {USUAL}, or masks if your network cannot be compensated. --objectives adds the population "
    "sizes of front. For a network with batch norm, quality and front have --compensate linear+recalibrate.",
)


@cloup.command(epilog="Example: evoprune search run --model small --data cifar10 --images 5000")
@click.argument("run_dir")
@cloup.option_group(
    "Start here",
    _options(SearchOptions, "model"),
    _options(DataOptions, "data", "data_dir", "images"),
    _preset_option,
    _options(SearchOptions, "objective", "threshold", "generations"),
    options_of(Backend, only=["name"], renamed={"name": "backend"}),
    _options(SearchSettings, "seed"),
)
@cloup.option_group(
    "What to search",
    _options(DataOptions, "split", "resize", "labels", "match_labels"),
    _options(SearchOptions, "prune", "force"),
    _options(SearchSettings, "round_to"),
    model_class_option(),
)
@cloup.option_group(
    "The algorithm",
    _options(SearchSettings, "population", "parents", "population_cap", "pairing"),
    _options(SearchSettings, "crossover", "mutate", "mutation"),
    _options(SearchOptions, "seed_with", "floor", "climb"),
    _options(SearchSettings, "initial_removal", "islands", "migrate_every", "migrants"),
    _options(SearchSettings, "stop_early", "race"),
    _options(SearchOptions, "patience"),
)
@cloup.option_group(
    "Objective", _options(SearchOptions, "objectives", "front_limit", "latency_batch", "weight", "offset")
)
@cloup.option_group(
    "Compensation and finish",
    _options(SearchOptions, "compensate", "compensation_images", "calibration_images", "finish"),
)
@cloup.option_group(
    "Where it runs",
    _options(SearchOptions, "batch_size", "precision"),
    options_of(Backend, only=["keep_memory"]),
    options_of(PoolOptions),
)
@cloup.option_group("Output and input", together(json_option, config_option))
@click.pass_context
def search(context: click.Context, run_dir: str, as_json: bool, **_: Any) -> None:
    """Search the filter masks of a model, in a new run directory RUN_DIR.

    RUN_DIR is a path or a URL (s3://, gs://, ...). Defaults below are those of --preset quality. "(paper: ...)"
    is the value of --preset paper, the settings of the thesis, where it differs.
    """
    from experiments.runs.building import prepare_driver
    from experiments.runs.search import start_search

    with interruptible(how_to_resume(run_dir)) as terminal:
        backend = chosen_backend(context)
        prepare_driver(backend)
        chosen = _chosen(context, terminal)
        check_effects(context, _effects(chosen))
        result = start_search(run_dir, chosen, backend, reporter=terminal)
    print_result(result, as_json, search_lines(result))


def _chosen(context: click.Context, reporter: Reporter) -> SearchOptions:
    """The options of the search. Options that the user gave override the values of the preset."""
    options = given(context)
    values, remark = preset_values(options.get("preset"), options["model"], options)
    if remark:
        reporter.message(remark)
    values = {**values, **options}
    data, settings = built(DataOptions, values), built(SearchSettings, values)
    return built(SearchOptions, values, data=data, settings=settings)


def _effects(chosen: SearchOptions) -> list[Effect]:
    settings = chosen.settings
    flips = any("probability" in MUTATIONS[name].needs for name in settings.mutations)
    islands = settings.islands > 1, "without --islands of 2 or more"
    return [
        Effect("mutation", flips, "without --mutate bits, which --preset paper has"),
        Effect("initial_removal", not chosen.climb, "with --climb, which all presets but paper have"),
        *compensation_effects(chosen.compensate),
        Effect("latency_batch", chosen.objective == "latency", "without --objective latency"),
        Effect("migrate_every", *islands),
        Effect("migrants", *islands),
    ]

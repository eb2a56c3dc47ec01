"""``evoprune baseline``: what other methods reach on the same network and images."""

from pathlib import Path
from typing import Any

import click
import cloup

from experiments.baselines.options import BaselineOptions
from experiments.cli.config import config_option
from experiments.cli.given import Effect, check_effects, compensation_effects
from experiments.cli.interruption import interruptible
from experiments.cli.options import built, options_of
from experiments.cli.output import data_lines, print_result
from experiments.cli.parameter_types import MODEL_DIRECTORY
from experiments.cli.shared_options import data_options, json_option, model_class_option
from experiments.data.options import DataOptions


@cloup.command(epilog="Example: evoprune baseline small --data cifar10 --images 2000 --run run --out compared")
@click.argument("model_dir", type=MODEL_DIRECTORY)
@cloup.option_group(
    "Comparison",
    options_of(BaselineOptions),
    cloup.option(
        "--run", metavar="DIR", help="Run directory of a search of MODEL_DIR, whose BEST is marked in the figure."
    ),
    model_class_option(),
)
@cloup.option_group("Images", data_options())
@cloup.option_group(
    "Output and input",
    cloup.option(
        "--out",
        type=MODEL_DIRECTORY,
        metavar="DIR",
        help="New directory for table, figure, numbers and masks. After an interruption, the same command "
        "continues.",
    ),
    json_option,
    config_option,
)
@click.pass_context
def baseline(
    context: click.Context, model_dir: Path, as_json: bool, run: str | None, out: Path | None, **options: Any
) -> None:
    """Compare methods on MODEL_DIR: accuracy without retraining against parameters, MACs or latency dropped.

    For each method, the table gives the largest drop that was found within the threshold; with --ratios, the
    accuracy without these shares of every layer. With --compensate, the masks of all methods are compensated;
    with --refit-images, their weights are refitted.
    """
    from experiments.baselines.method_comparison import compare_baselines
    from experiments.baselines.steps import SUFFIX

    chosen = built(BaselineOptions, options, data=built(DataOptions, options))
    check_effects(context, [*compensation_effects(chosen.compensate), *_effects(chosen)])
    remedy = "run the command again."
    if out is not None:
        remedy = f"the same command continues; methods that are finished are in {out}{SUFFIX}."
    with interruptible(remedy) as terminal:
        result = compare_baselines(model_dir, chosen, run=run, out=out, reporter=terminal)
    files = result["files"]
    written = f"written to {files[-1]}" if files else "give --out DIR for the figure, the numbers and the masks"
    print_result(result, as_json, [result["table"], *result["not_compensated"], *data_lines(result), written])


def _effects(chosen: BaselineOptions) -> list[Effect]:
    from experiments.baselines.methods import SEARCHES

    named = set() if chosen.methods is None else {name.strip() for name in chosen.methods.split(",")}
    ranks, searches = not named or bool(named - set(SEARCHES)), not named or bool(named & set(SEARCHES))
    unshared = ("scope", "floor", "budget", "threshold")
    return [
        *(Effect(name, chosen.ratios is None, "with --ratios") for name in unshared),
        Effect("budget", searches, f"without {' or '.join(SEARCHES)} in --methods"),
        Effect("importance_images", ranks, "without a ranking in --methods"),
        Effect("latency_batch", chosen.objective == "latency", "without --objective latency"),
    ]

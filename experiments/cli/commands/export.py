"""``evoprune export``: what a search found as a smaller network, for this software or for others."""

from pathlib import Path
from typing import Any

import click
import cloup

from experiments.cli.config import config_option
from experiments.cli.given import Effect, check_effects
from experiments.cli.interruption import interruptible
from experiments.cli.output import data_lines, print_result
from experiments.cli.parameter_types import MODEL_DIRECTORY
from experiments.cli.shared_options import json_option, model_class_option, moved_options
from experiments.runs.finish.images import REFIT_IMAGES
from models.export.registry import FORMATS


@cloup.command(epilog="Example: evoprune export run pruned --format onnx")
@click.argument("run_dir")
@click.argument("pruned_dir", type=MODEL_DIRECTORY)
@config_option
@cloup.option(
    "--format",
    metavar=f"[{'|'.join(FORMATS)}]",
    default="native",
    show_default=True,
    help="A model directory, or a file that JAX, ONNX Runtime or PyTorch loads without this software.",
)
@cloup.option(
    "--pick",
    metavar="CONDITIONS",
    help="Instead of RESULT, the mask of the run's front that drops most under conditions as accuracy_drop<1. "
    "Other figures: parameter_drop, mac_drop (percent), parameters and macs, with < <= > >=, joined by commas.",
)
@cloup.option(
    "--refit",
    is_flag=True,
    help="Instead of RESULT, BEST or the mask of --pick with its remaining weights refitted, layer by layer, to "
    "the outputs of the original layers, by least squares on training images. --pick then uses the accuracy_drop "
    "of refitted masks, on fitness and on check images.",
)
@cloup.option(
    "--refit-images",
    type=int,
    default=REFIT_IMAGES,
    show_default=True,
    help="Largest number of training images that --refit fits to.",
)
@cloup.option(
    "--round-to",
    type=int,
    metavar="N",
    help="Widen each layer with filler filters to a multiple of N, or to its whole width. Answers stay the "
    "same. ONNX Runtime is slow on a CPU at widths that are no multiples of 8. 8 for onnx and 1 for other "
    "formats if not given.",
)
@moved_options
@model_class_option()
@json_option
@click.pass_context
def export(context: click.Context, run_dir: str, pruned_dir: Path, as_json: bool, **options: Any) -> None:
    """Write RESULT of RUN_DIR as a smaller network into the directory PRUNED_DIR.

    RESULT is what the finish of the search chose. BEST stands in for RESULT where the run has no finish, or its
    finish is not done. The written network is read back and compared on images of the run.
    """
    from experiments.runs.exporting.export import export_run

    check_effects(context, [Effect("refit_images", options["refit"], "without --refit")])
    with interruptible("nothing was written.") as terminal:
        result = export_run(run_dir, pruned_dir, reporter=terminal, **options)
    which = {"pick": "the mask of --pick"}.get(result.mask, result.mask)
    compared = "network of RESULT" if result.mask == "RESULT" else "masked network"
    lines = [
        f"{which}: {result.removed_filters:,} filters removed, at an accuracy drop of "
        f"{result.accuracy_drop:.2f}% on the fitness images",
        f"{result.parameters:,} parameters ({result.parameter_drop:.2f}% drop), "
        f"{result.macs:,} MACs ({result.mac_drop:.2f}% drop)",
        f"as the {compared} in {result.runtime} on {result.parity_images} images: "
        f"{result.differing_predictions} predictions differ, "
        f"logits by {result.max_logit_difference:.2g} at most",
        f"written to {pruned_dir}: "
        + ", ".join(f"{name} ({size:,} bytes)" for name, size in result.files.items()),
    ]
    lines[-1:-1] = data_lines(result)
    if (check := result.check) is not None:
        unseen = "" if check["unseen"] else ", which the search saw"
        lines[0] += f" and {check['accuracy_drop']:.2f}% on {check['total']:,} check images{unseen}"
    if result.refit_images is not None:
        lines[0] += f", refitted to {result.refit_images:,} training images"
    print_result(result, as_json, lines)

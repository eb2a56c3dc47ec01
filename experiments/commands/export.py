"""``evoprune export``: BEST as a smaller network, here or in the forms that other software runs."""

from pathlib import Path
from typing import Any

import click

from experiments.cli_options import (
    MODEL_DIRECTORY,
    config_option,
    json_option,
    model_class_option,
    print_result,
)
from experiments.commands.interruption import interruptible
from experiments.effects import Effect, check_effects


@click.command(epilog="Example: evoprune export run pruned --format onnx")
@click.argument("run_dir")
@click.argument("pruned_dir", type=MODEL_DIRECTORY)
@config_option
@click.option(
    "--format",
    type=click.Choice(["native", "stablehlo", "onnx", "torch"]),
    default="native",
    show_default=True,
    help="A model directory, or what JAX, ONNX Runtime or PyTorch load without this software.",
)
@click.option(
    "--pick",
    metavar="CONDITIONS",
    help="Instead of BEST, the mask of the run's front that drops most at 'accuracy_drop<1', say; also "
    "parameter_drop, mac_drop (percent), parameters and macs, with < <= > >=, joined by commas.",
)
@click.option(
    "--refit",
    is_flag=True,
    help="Refit the weights that are left, layer by layer, to what they computed before, by least squares on "
    "training images; accuracy_drop of --pick is then that of refitted masks, on images unseen so far too.",
)
@click.option(
    "--refit-images",
    type=click.IntRange(min=1),
    default=5_000,
    show_default=True,
    help="Training images that --refit fits to, at most.",
)
@click.option("--model", help="Where the run's model is now, if it moved.")
@click.option("--data-dir", help="Where the run's data is now, if it moved.")
@model_class_option()
@json_option
@click.pass_context
def export(context: click.Context, run_dir: str, pruned_dir: Path, as_json: bool, **options: Any) -> None:
    """Write BEST of RUN_DIR, or what --pick finds, as a physically smaller network into the directory PRUNED_DIR.

    It is read back and compared with the masked network on images of the run first.
    """
    from experiments.exporting import export_run

    check_effects(context, [Effect("refit_images", options["refit"], "without --refit")])
    with interruptible("nothing was written.") as terminal:
        result = export_run(run_dir, pruned_dir, reporter=terminal, **options)
    lines = [
        f"{result['removed_filters']:,} filters removed, at an accuracy drop of "
        f"{result['accuracy_drop']:.2f}% on the fitness images",
        f"{result['parameters']:,} parameters ({result['parameter_drop']:.2f}% drop), "
        f"{result['macs']:,} MACs ({result['mac_drop']:.2f}% drop)",
        f"as the masked network in {result['runtime']} on {result['parity_images']} images: "
        f"{result['differing_predictions']} predictions differ, "
        f"logits by {result['max_logit_difference']:.2g} at most",
        f"written to {pruned_dir}: "
        + ", ".join(f"{name} ({size:,} bytes)" for name, size in result["files"].items()),
    ]
    if result["refit"] is not None and "held_out" in result["refit"]:
        unseen = result["refit"]["held_out"]
        lines[0] += f" and {unseen['accuracy_drop']:.2f}% on {unseen['total']:,} unseen training images, refitted"
    print_result(result, as_json, lines)

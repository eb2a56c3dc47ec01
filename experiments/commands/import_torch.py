"""``evoprune import-torch``: import a network from PyTorch."""

from pathlib import Path
from typing import Any

import click

from experiments.cli_options import (
    FILE,
    MODEL_DIRECTORY,
    config_option,
    json_option,
    numbers,
    print_result,
    taken,
)
from experiments.commands.lines import accuracy_line


@click.command(
    "import-torch",
    epilog="Example: evoprune import-torch vgg16.safetensors big --mean 0.49,0.48,0.45 --std 0.25,0.24,0.26",
)
@click.argument("file", type=FILE)
@click.argument("model_dir", type=MODEL_DIRECTORY)
@config_option
@click.option("--mean", required=True, callback=numbers, help="Means of the channels, of pixels from 0 to 1.")
@click.option("--std", required=True, callback=numbers, help="Standard deviations, likewise.")
@click.option("--classes", help="Comma-separated names; 0,1,2,... if not given.")
@click.option(
    "--input-size",
    type=click.IntRange(min=1),
    help="Height and width, if not the smallest (for torchvision's VGG, if not 224).",
)
@click.option("--data", help="Also evaluate on this data set.")
@click.option("--data-dir", envvar="EVOPRUNE_DATA_DIR", help="Folder with its parquet files.")
@click.option("--split", default="test", show_default=True, help="Split to evaluate on.")
@json_option
def import_torch(file: Path, model_dir: Path, as_json: bool, **options: Any) -> None:
    """Import a PyTorch state_dict (FILE, .safetensors or .pt) of a VGG or a CIFAR ResNet as MODEL_DIR.

    Read are torchvision's layout and those of the common variants for CIFAR, with and without batch norm. Code
    in a .pt file is never run.
    """
    from experiments.importing import import_model
    from experiments.measuring import DataOptions

    data = taken(options, "data", "data_dir", "split")
    result = import_model(
        file, model_dir, data=DataOptions(**data) if data["data"] is not None else None, **options
    )
    print_result(result, as_json, [accuracy_line(result), f"written to {model_dir}"])

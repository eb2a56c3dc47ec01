"""``evoprune import`` and ``import-torch``: import a network from ONNX or from PyTorch."""

from pathlib import Path
from typing import Any

import click
import cloup

from experiments.cli.config import config_option
from experiments.cli.interruption import interruptible
from experiments.cli.options import built, options_of
from experiments.cli.output import accuracy_line, data_lines, print_result
from experiments.cli.parameter_types import FILE, MODEL_DIRECTORY
from experiments.cli.shared_options import json_option
from experiments.data.options import DataOptions
from experiments.training.importing import ImportResult
from experiments.training.onnx_importing import ONNXImportOptions
from experiments.training.torch_importing import TorchImportOptions

_evaluate = options_of(
    DataOptions,
    only=["data", "data_dir", "split", "match_labels"],
    defaults={"data": None, "split": "test"},
    helps={"data": "Also evaluate on this data set.", "split": "Split to evaluate on."},
)


@cloup.command(
    "import",
    epilog="Example: evoprune import classifier.onnx big --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225",
)
@click.argument("file", type=FILE)
@click.argument("model_dir", type=MODEL_DIRECTORY)
@options_of(ONNXImportOptions)
@_evaluate
@config_option
@json_option
def import_onnx(file: Path, model_dir: Path, as_json: bool, **options: Any) -> None:
    """Import an image classifier from ONNX (FILE, .onnx) as MODEL_DIR.

    The dependencies between its layers are found from its graph. export --format onnx gives the same file back,
    smaller.
    """
    from experiments.training.onnx_importing import import_onnx_model

    data = None if options["data"] is None else built(DataOptions, options)
    with interruptible("nothing was written; start again when you like.") as terminal:
        result = import_onnx_model(
            file, model_dir, built(ONNXImportOptions, options), data=data, reporter=terminal
        )
    _print(result, model_dir, as_json)


@cloup.command(
    "import-torch",
    epilog="Example: evoprune import-torch vgg16.safetensors big --mean 0.49,0.48,0.45 --std 0.25,0.24,0.26",
)
@click.argument("file", type=FILE)
@click.argument("model_dir", type=MODEL_DIRECTORY)
@options_of(TorchImportOptions)
@_evaluate
@config_option
@json_option
def import_torch(file: Path, model_dir: Path, as_json: bool, **options: Any) -> None:
    """Import a PyTorch state_dict (FILE, .safetensors or .pt) of a VGG or a ResNet as MODEL_DIR.

    It reads torchvision's layout and the common variants for CIFAR, with and without batch norm. Code in a .pt
    file is never run.
    """
    from experiments.training.torch_importing import import_torch_model

    data = None if options["data"] is None else built(DataOptions, options)
    with interruptible("nothing was written; start again when you like.") as terminal:
        result = import_torch_model(
            file, model_dir, built(TorchImportOptions, options), data=data, reporter=terminal
        )
    _print(result, model_dir, as_json)


def _print(result: ImportResult, model_dir: Path, as_json: bool) -> None:
    lines = [f"assumed: {sentence}" for sentence in result.assumed]
    print_result(result, as_json, [*lines, accuracy_line(result), *data_lines(result), f"written to {model_dir}"])

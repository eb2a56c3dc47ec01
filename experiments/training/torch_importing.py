"""From a PyTorch weights file to a model directory: the ``import-torch`` command."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

from engine.errors import OptionError
from engine.options import option
from experiments.data.options import DataOptions
from experiments.progress import Reporter, Silent
from experiments.training.importing import ImportResult, InputOptions, written
from models import output_directory
from models.networks.vgg import LastPool
from models.torch.facts import Facts, ShortcutZeros
from models.torch.importing import import_network


@dataclass(frozen=True)
class TorchImportOptions(InputOptions):
    """What a weights file does not tell about its network.

    Raises:
        OptionError: a value out of its range.
    """

    force: bool = option(
        False,
        "Take `mean` and `std` that cannot be those of pixels from 0 to 1, or are not those of the file.",
    )
    input_size: int | None = option(
        None,
        "Height and width of the images. The smallest that a VGG can take if not given; for a ResNet, 32 with a "
        "first convolution of 3x3 and 224 with a larger one.",
    )
    epsilon: float | None = option(
        None, "Epsilon of the batch norms. PyTorch's default, 1e-05, if not given; Keras has 0.001."
    )
    last_pool: str | None = option(
        None, "VGG: the 2x2 pool behind the last convolution. max if not given.", choices=get_args(LastPool)
    )
    pools_after: str | None = option(
        None,
        "VGG: the convolutions behind which a 2x2 pool is, as 2,4,7,10,13 for a VGG-16. All gaps of the "
        "numbering "
        "and the last one if not given; with Dropout in gaps, as `input_size` tells.",
        metavar="NUMBERS",
    )
    global_average: bool | None = option(
        None, "VGG: the classifier reads the mean over all places. Give `input_size` too."
    )
    stem_stride: int | None = option(
        None, "ResNet: stride of the first convolution. 1 for 3x3 and 2 for a larger one if not given."
    )
    stem_pool: bool | None = option(
        None,
        "ResNet: a 3x3 max pool of stride 2 behind the first convolution. Only where that is larger than 3x3 if "
        "not "
        "given.",
    )
    shortcut_zeros: str | None = option(
        None,
        "ResNet with shortcuts without weights: channels of zeros around the copied channels or behind them. "
        "around if not given.",
        choices=get_args(ShortcutZeros),
    )
    weights: str | None = option(
        None,
        "Key of the weights in a checkpoint that holds several networks, such as model_ema.",
        metavar="KEY",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("input_size", "stem_stride"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise OptionError(f"`{name}` must be 1 or more, not {getattr(self, name)}.")
        if self.epsilon is not None and not 0 < self.epsilon < 1:
            raise OptionError(f"`epsilon` must be above 0 and below 1, not {self.epsilon:g}.")
        for name, kind in (("last_pool", LastPool), ("shortcut_zeros", ShortcutZeros)):
            if getattr(self, name) not in (None, *get_args(kind)):
                raise OptionError(
                    f"`{name}` must be one of {', '.join(get_args(kind))}, not {getattr(self, name)!r}."
                )
        self.facts()

    def facts(self) -> Facts:
        """The options that tell of the network."""
        told: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(Facts)}
        return Facts(**{**told, "pools_after": _numbers(self.pools_after)})


def _numbers(text: str | None) -> tuple[int, ...] | None:
    """``2,4`` as numbers, ascending."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts) or len(set(map(int, parts))) < len(parts):
        raise OptionError(
            f"`pools_after` must name convolutions by their numbers from 1, as in 2,4,7, not {text!r}."
        )
    return tuple(sorted(map(int, parts)))


def import_torch_model(
    file: Path,
    directory: Path,
    options: TorchImportOptions,
    *,
    data: DataOptions | None = None,
    reporter: Reporter | None = None,
) -> ImportResult:
    """Import ``file``, write ``directory``, and measure the accuracy if ``data`` is given.

    Raises:
        StoreError: the file holds no network that can be read, or the directory is occupied.
    """
    reporter = reporter or Silent()
    output_directory.check_target(Path(directory))
    reporter.message(f"reading the weights {file}")
    imported = import_network(
        Path(file),
        options.normalisation,
        name=Path(file).stem,
        classes=options.names,
        facts=options.facts(),
        weights=options.weights,
        force=options.force,
    )
    return written(file, directory, imported.model, list(imported.assumed), options, data, reporter)

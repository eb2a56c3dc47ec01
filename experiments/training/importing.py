"""From a file of another software to a model directory: what all imports share."""

from dataclasses import MISSING, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import OptionError
from engine.options import option
from experiments.data.class_lists import ClassList, class_list
from experiments.data.facts import DataFacts, result_json
from experiments.data.loading import open_images
from experiments.data.options import DataOptions, check_resize
from experiments.data.original_answers import check_labelled
from experiments.environment import versions
from experiments.measurement.measuring import measure
from experiments.progress import Reporter
from models import model_directory
from models.cost import network_cost
from models.model_directory import Model
from models.normalisation import Normalisation


@dataclass(frozen=True)
class InputOptions:
    """What no file tells: how images become inputs, and what the outputs are called.

    Raises:
        OptionError: a value out of its range.
    """

    mean: tuple[float, ...] = option(MISSING, "Means of the channels, for pixels from 0 to 1.", metavar="NUMBERS")
    std: tuple[float, ...] = option(MISSING, "Standard deviations of the channels.", metavar="NUMBERS")
    classes: str | None = option(
        None,
        "Names of the classes in the order of the outputs: joined by commas, or a file with one name a line or "
        "with JSON. The model knows none if not given.",
        metavar="NAMES",
    )
    force: bool = option(False, "Take `mean` and `std` that cannot be those of pixels from 0 to 1.")
    resize: str | None = option(
        None,
        "How later commands give images the model's size: squash takes height and width apart, crop the short "
        "side and then the centre. squash if not given.",
        metavar="[squash|crop]",
    )

    def __post_init__(self) -> None:
        check_resize(self.resize)
        if len(self.mean) != len(self.std):
            raise OptionError(
                f"`mean` has {len(self.mean)} numbers and `std` {len(self.std)}; give one of each for each "
                "channel."
            )
        if not np.isfinite([*self.mean, *self.std]).all() or min(self.std, default=1) <= 0:
            raise OptionError("`mean` and `std` must be finite numbers, and `std` above 0.")
        if not self.force and (doubt := Normalisation(self.mean, self.std).doubt()):
            raise OptionError(f"`mean` and `std`: {doubt}; `force` takes them as they are.")
        _ = self.class_list

    @cached_property
    def class_list(self) -> ClassList | None:
        """The names of the classes, read once; None if they are not known."""
        return None if self.classes is None else class_list(self.classes)

    @property
    def names(self) -> tuple[str, ...] | None:
        """The names of the classes; None if they are not known."""
        return None if self.class_list is None else self.class_list.names

    @property
    def normalisation(self) -> Normalisation:
        """Of the images."""
        return Normalisation(self.mean, self.std)


@dataclass(frozen=True)
class ImportResult:
    """Size of an imported model, and its accuracy where it was measured; see :class:`Measurement`.

    Attributes:
        assumed: one sentence for each thing that the file leaves open; see
            :class:`models.imported.ImportedNetwork`.
    """

    parameters: int
    macs: int
    accuracy: float | None = None
    correct: int | None = None
    total: int | None = None
    split: str | None = None
    facts: DataFacts = field(default_factory=DataFacts)
    assumed: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return result_json(self)


def written(
    file: Path,
    directory: Path,
    model: Model,
    assumed: list[str],
    options: InputOptions,
    data: DataOptions | None,
    reporter: Reporter,
) -> ImportResult:
    """Write an imported model, and measure its accuracy if ``data`` is given.

    Raises:
        StoreError: the directory is occupied.
        DataError: the data cannot be read, or does not fit the model.
    """
    if options.class_list is not None and options.class_list.assumed:
        assumed = [*assumed, options.class_list.assumed]
    model.notes = {"imported_from": Path(file).name, "assumed": assumed, "versions": versions()}
    if options.resize is not None:
        model.notes["data"] = {"resize": options.resize}
    result = ImportResult(*network_cost(model.network), assumed=assumed)
    if data is not None:
        check_labelled(data, "measure a network that was just imported, which agrees with itself")
        measured = measure(model, open_images(data, model, reporter), reporter=reporter, doubting=True)
        model.notes["accuracies"] = {measured.split: measured.note()}
        result = ImportResult(**vars(measured), assumed=assumed)
    model_directory.save(Path(directory), model)
    return result

"""From a PyTorch weights file to a model directory: the ``import-torch`` command."""

from pathlib import Path
from typing import Any

from experiments.environment import versions
from experiments.measuring import DataOptions, load_images, measure
from models import output_directory, store
from models.cost import network_cost
from models.normalisation import Normalisation
from models.torch_import import import_network


def import_model(
    file: Path,
    directory: Path,
    *,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    classes: str | None = None,
    input_size: int | None = None,
    data: DataOptions | None = None,
) -> dict[str, Any]:
    """Import ``file`` and write ``directory``.

    Returns:
        accuracy, correct, total and split (all None unless ``data`` is given), parameters and macs.

    Raises:
        StoreError: the file holds no network that can be read, or the directory is occupied.
    """
    output_directory.check_target(Path(directory))
    names = tuple(classes.split(",")) if classes else None
    name = Path(file).stem
    model = import_network(Path(file), Normalisation(mean, std), name=name, classes=names, input_size=input_size)
    model.notes = {"imported_from": Path(file).name, "versions": versions()}
    parameters, macs = network_cost(model.network)
    result: dict[str, Any] = {
        "accuracy": None,
        "correct": None,
        "total": None,
        "split": None,
        "parameters": parameters,
        "macs": macs,
    }
    if data is not None:
        result = measure(model, load_images(data, model))
        kept = {key: result[key] for key in ("accuracy", "correct", "total")}
        model.notes["accuracies"] = {result["split"]: kept}
    store.save(Path(directory), model)
    return result

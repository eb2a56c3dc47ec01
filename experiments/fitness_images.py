"""The images that a run searches on. They are recognised by their digest, wherever they are by now."""

from engine.errors import RunError
from engine.run_directory import RunDirectory
from experiments.datasets import ImageSet
from experiments.measuring import DataOptions, load_images
from models.store import Model

_ENTRY = "images_digest"


def digest(images: ImageSet) -> dict[str, str]:
    """The entry of ``run.json`` by which :func:`load_fitness_images` knows them, in the order of the data."""
    return {_ENTRY: images.digest()}


def load_fitness_images(run: RunDirectory, data: DataOptions, model: Model) -> ImageSet:
    """The images that ``run`` searched on, in the order of the data; unchecked where it began without a digest.

    Raises:
        DataError: the data cannot be read, or does not fit the model.
        RunError: they are others.
    """
    images = load_images(data, model)
    begun = run.description().get(_ENTRY)
    if begun is not None and begun != images.digest():
        raise RunError(
            f"the images of --data {data.data} are not those that {run.location} began with; give them with "
            "--data-dir."
        )
    return images

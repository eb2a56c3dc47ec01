"""The model that a run searched, recognised by its digest: another of the same shape will not do."""

from pathlib import Path

from engine.errors import RunError
from engine.run_directory import RunDirectory
from models import store
from models.store import Model


def load_searched_model(run: RunDirectory, directory: str) -> Model:
    """The model that a run searched.

    Raises:
        StoreError: it cannot be read.
        RunError: the directory holds another model by now.
    """
    model = store.load(Path(directory))
    if run.description().get("model_digest") != model.digest():
        raise RunError(
            f"the model in {directory} is not the one that {run.location} searched; give it with --model."
        )
    return model

"""The model that a run searched, recognised by its digest: another of the same shape will not do."""

from pathlib import Path

from engine.checkpoint import Checkpoint
from engine.errors import RunError
from engine.run_directory import RunDirectory
from fitness.genome import Genome
from models import store
from models.store import Model


def load_searched_model(run: RunDirectory, checkpoint: Checkpoint, directory: str, prune: str) -> Model:
    """The model that a run searched; ``prune`` names the filters.

    Raises:
        StoreError: it cannot be read.
        RunError: the directory holds another model by now, or the checkpoint is of another run.
    """
    model = store.load(Path(directory))
    if run.description().get("model_digest") != model.digest():
        raise RunError(
            f"the model in {directory} is not the one that {run.location} searched; give it with --model."
        )
    if checkpoint.layout != Genome.of(model.network, prune).layout:
        raise RunError(f"the checkpoints in {run.location} belong to another run; restore the right ones.")
    return model

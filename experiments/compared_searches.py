"""What comparisons of searches have in common: the network, the images and a folder that goes on where it was."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.atomic import write_atomically
from experiments.measuring import DataOptions
from experiments.steps import Steps
from models.store import Model


def comparison_steps(out: Path, model: Model, data: DataOptions, **identity: Any) -> Steps:
    """The folder of a comparison, whose ``description`` is what all its searches share.

    Where model and data are does not belong to it, as it does not matter to what comes out.

    Raises:
        RunError: ``out`` holds something else.
    """
    shared = {"model": model.digest(), "data": {**vars(data.resolved()), "data_dir": None}, **identity}
    # Through JSON, which has no tuples.
    return Steps(Path(out), json.loads(json.dumps(shared)))


def write_results(out: Path, results: Mapping[str, Any], tables: str) -> None:
    """``results.json`` and ``tables.md``."""
    write_atomically(out / "results.json", json.dumps(results, indent=2).encode() + b"\n")
    write_atomically(out / "tables.md", tables.encode())

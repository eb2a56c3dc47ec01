"""The folder of a study of searches: steps that are continued, results and tables."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.stores.atomic import write_atomically
from experiments.baselines.steps import Steps
from experiments.data.options import DataOptions
from models.model_directory import Model


def study_steps(out: Path, model: Model, data: DataOptions, **identity: Any) -> Steps:
    """The steps of a study in ``out``; the ``description`` holds what all searches share.

    The places of model and data are not in the description, because results do not depend on them.

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

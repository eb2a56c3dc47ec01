"""A run that is there: export, report, baseline, comparison, status and resume all begin by opening one."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from engine.errors import RunError
from engine.run.checkpoint import Checkpoint
from engine.run.directory import RunDirectory
from experiments.data.datasets import ImageSet
from experiments.data.facts import DataFacts
from experiments.progress import Reporter, Silent
from experiments.runs.knowledge.knowledge import read_compensation
from experiments.runs.options import SearchOptions
from experiments.runs.problem import Problem
from models.compensation.method import Compensation


def data_facts(description: Mapping[str, Any]) -> DataFacts:
    """What a run tells of its fitness images, from the content of ``run.json``.

    Raises:
        RunError: it is damaged.
    """
    try:
        found = msgspec.convert(description, DataFacts)
    except msgspec.ValidationError as error:
        raise RunError(f"run.json is damaged ({error}); restore it.") from error
    if found.labels_matched is None or found.matching is None:
        raise RunError("run.json is damaged (it does not tell how labels were matched); restore it.")
    return found


@dataclass(frozen=True)
class SavedRun:
    """The files of a run, read when they are first asked for.

    Attributes:
        run: the run directory.
        description: the content of ``run.json``.
        options: of the search; model and data where they are now.
        reporter: hears of damaged checkpoints and of what takes long.
    """

    run: RunDirectory
    description: dict[str, Any]
    options: SearchOptions
    reporter: Reporter = field(default_factory=Silent, repr=False)

    @classmethod
    def open(
        cls,
        location: str | os.PathLike[str],
        *,
        model: str | None = None,
        data_dir: str | None = None,
        reporter: Reporter | None = None,
    ) -> "SavedRun":
        """Open the run at ``location``, a path or a URL.

        Args:
            location: of the run.
            model: where the model is now, if it moved.
            data_dir: where the data is now, if it moved.
            reporter: see the class.

        Raises:
            RunError: there is no run, or its description is damaged.
        """
        return cls.of(RunDirectory.open(location), model=model, data_dir=data_dir, reporter=reporter)

    @classmethod
    def of(
        cls,
        run: RunDirectory,
        *,
        model: str | None = None,
        data_dir: str | None = None,
        changes: Mapping[str, Any] | None = None,
        reporter: Reporter | None = None,
    ) -> "SavedRun":
        """As :meth:`open`, for a run directory that may be locked; ``changes`` are new values of its options.

        Raises:
            RunError: its description is damaged.
        """
        description = run.description()
        options = SearchOptions.from_json(description.get("configuration"))
        if model is not None:
            options = replace(options, model=str(Path(model).resolve()))
        if data_dir is not None:
            options = replace(options, data=options.data.moved(data_dir))
        return cls(run, description, replace(options, **(changes or {})), reporter or Silent())

    @property
    def facts(self) -> DataFacts:
        """What the run tells of its fitness images.

        Raises:
            RunError: ``run.json`` is damaged.
        """
        return data_facts(self.description)

    @cached_property
    def checkpoint(self) -> Checkpoint | None:
        """The newest whole checkpoint; None while generation 0 is under way.

        Raises:
            CheckpointError: every checkpoint is damaged.
        """
        return self.run.latest(self.reporter.message)

    @property
    def newest(self) -> Checkpoint:
        """The newest whole checkpoint.

        Raises:
            CheckpointError: every checkpoint is damaged.
            RunError: there is none yet.
        """
        if self.checkpoint is None:
            location = self.run.location
            raise RunError(f"{location} has no checkpoint yet; run 'evoprune resume {location}' first.")
        return self.checkpoint

    @cached_property
    def problem(self) -> Problem:
        """The problem that the run searches.

        Raises:
            StoreError: the model cannot be read.
            RunError: the model is another by now, or the checkpoints are of another run.
        """
        problem = Problem.load(self.options, self.reporter)
        if self.description.get("model_digest") != problem.model.digest():
            raise RunError(
                f"the model in {self.options.model} is not the one that {self.run.location} searched; give it "
                "with `model`."
            )
        if self.checkpoint is not None and self.checkpoint.layout != problem.genome.layout:
            raise RunError(
                f"the checkpoints in {self.run.location} belong to another run; restore the right ones."
            )
        return problem

    @property
    def images(self) -> ImageSet:
        """The fitness images, in the order of the data.

        Raises:
            DataError: the data cannot be read, or does not fit the model.
            RunError: the images are others by now.
        """
        images = self.problem.images
        if self.description.get("images_digest") != self.problem.facts["images_digest"]:
            raise RunError(
                f"the images of `data` {self.options.data.data} are not those that {self.run.location} began "
                "with; give them with `data_dir`."
            )
        return images

    @cached_property
    def compensation(self) -> Compensation | None:
        """The compensation that the run scores its masks with; None without.

        Raises:
            RunError: its file is missing, damaged or of another run.
        """
        return read_compensation(self.run, self.problem)

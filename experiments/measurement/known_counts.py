"""How many images an unpruned network gets right, remembered between commands of one user on one kind of CPU.

Every search of a network asks for the same count on the same held-out images, which takes a VGG-16 longer than a
quick search's last generations. A count is remembered beside the compiled programs, and only where those are kept
(:mod:`fitness.evaluation.compilation_cache`).
"""

import hashlib
import os
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import fitness
import models
from engine.stores.atomic import write_atomically
from experiments.data.datasets import ImageSet
from fitness.evaluation import compilation_cache
from fitness.evaluation.evaluator import on_gpu
from models.model_directory import Model
from models.tracing.architecture import ModuleArchitecture


class KnownCount:
    """The place of one count: of a network, on some images, by this version of the code on this kind of CPU."""

    def __init__(self, model: Model, images: ImageSet):
        folder = compilation_cache.folder()
        self._path: Path | None = None
        # A module of the user's own runs code that no digest sees.
        whole = not isinstance(model.network.architecture, ModuleArchitecture)
        if folder is not None and whole and not on_gpu():
            versions = version("jax"), version("jaxlib"), os.environ.get("XLA_FLAGS", "")
            self._name = _sha256(model.digest(), images.digest(), _code(), *versions)
            self._path = folder / f"correct-{self._name}"

    def read(self) -> int | None:
        """The count; None if it is not known, or what is kept is damaged."""
        if self._path is None:
            return None
        with suppress(OSError, ValueError, IndexError):
            kept = self._path.read_text("ascii")
            correct = int(kept.split()[0])
            if kept == self._kept(correct):
                return correct
        return None

    def keep(self, correct: int) -> None:
        """Remember the count, if the cache can be written."""
        if self._path is not None:
            with suppress(OSError):
                write_atomically(self._path, self._kept(correct).encode())

    def _kept(self, correct: int) -> str:
        """The count with a checksum: a damaged file must not pass for another count."""
        return f"{correct} {_sha256(self._name, str(correct))}"


def _sha256(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _code() -> str:
    """SHA-256 of all code that decides a count."""
    digest = hashlib.sha256()
    for package in (fitness, models):
        for path in sorted(Path(str(package.__file__)).parent.rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()

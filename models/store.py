"""Model directories: ``model.json`` and ``weights.safetensors``, written all at once or not at all.

Nothing in a model directory is ever executed or unpickled.
"""

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as parse_safetensors
from safetensors.numpy import save as serialise_safetensors

from models.errors import FactoryError, NetworkError, StoreError
from models.normalisation import Normalisation
from models.registry import architecture_from_json
from models.stages import Network
from models.state import arrays_of, set_arrays

FORMAT = 1
DESCRIPTION = "model.json"
WEIGHTS = "weights.safetensors"


@dataclass
class Model:
    """A network with what is needed to use it: normalisation and class names; and where it came from.

    ``notes`` is free JSON for ``model.json``: data, training settings, accuracies, versions, ancestry.
    """

    network: Network
    normalisation: Normalisation
    classes: tuple[str, ...]
    notes: dict[str, Any] = field(default_factory=dict)

    def digest(self) -> str:
        """SHA-256 of all that decides the logits: architecture, normalisation and arrays."""
        digest = hashlib.sha256()
        identity = [self.network.architecture.to_json(), self.normalisation.to_json()]
        digest.update(json.dumps(identity, sort_keys=True).encode())
        for name, array in arrays_of(self.network).items():
            digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def check_target(directory: Path) -> None:
    """Refuse a directory that a new model must not be written to.

    Raises:
        StoreError: it exists and is not an empty directory, or cannot be created.
    """
    try:
        occupied = directory.exists() and (not directory.is_dir() or any(directory.iterdir()))
        if occupied:
            raise StoreError(
                f"{directory} exists already and is left untouched; name a new directory or remove it first."
            )
        directory.parent.mkdir(parents=True, exist_ok=True)
        # Better to learn now than after hours of training that nothing can be written there.
        with tempfile.TemporaryFile(dir=directory if directory.exists() else directory.parent):
            pass
    except OSError as error:
        raise StoreError(f"cannot use {directory} as output directory: {error.strerror}.") from error


def save(directory: Path, model: Model) -> None:
    """Write a model directory; it appears complete or not at all.

    A directory that exists and is empty (it may be a mount point) is filled, ``model.json`` last: without
    that file it is no model directory.

    Raises:
        StoreError: the directory is occupied.
        OSError: the disk is full or not writable; nothing is left behind.
    """
    check_target(directory)
    weights = serialise_safetensors(arrays_of(model.network))
    description = {
        "format": FORMAT,
        "architecture": model.network.architecture.to_json(),
        "normalisation": model.normalisation.to_json(),
        "classes": list(model.classes),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        **model.notes,
    }
    files = {WEIGHTS: weights, DESCRIPTION: (json.dumps(description, indent=2) + "\n").encode()}
    if directory.exists():
        try:
            for name, content in files.items():
                _write_synced(directory / name, content)
        except BaseException:
            for name in files:
                (directory / name).unlink(missing_ok=True)
            raise
        return
    temporary = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        for name, content in files.items():
            _write_synced(temporary / name, content)
        temporary.chmod(0o755)
        os.replace(temporary, directory)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _write_synced(path: Path, content: bytes) -> None:
    with open(path, "xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def load(directory: Path) -> Model:
    """Read a model directory.

    Raises:
        StoreError: a file is missing, damaged, or does not fit the other one.
    """
    directory = Path(directory)
    description = _read_description(directory)
    try:
        network = architecture_from_json(description.get("architecture")).blank()
        normalisation = Normalisation.from_json(description.get("normalisation"))
    except FactoryError as error:
        raise StoreError(f"{directory}: {error}") from error
    except (NetworkError, ValueError, TypeError, OverflowError) as error:
        raise StoreError(f"{directory / DESCRIPTION} is damaged: {error}") from error
    channels = network.architecture.input_shape[-1]
    if len(normalisation.mean) != channels:
        raise StoreError(
            f"{directory / DESCRIPTION} is damaged: it normalises {len(normalisation.mean)} channels, but "
            f"its network takes {channels}."
        )
    classes = description.get("classes")
    if not isinstance(classes, list) or len(classes) != network.architecture.classes:
        raise StoreError(
            f"{directory / DESCRIPTION} is damaged: 'classes' must name {network.architecture.classes} classes."
        )
    weights = read_weights(directory / WEIGHTS, description.get("weights_sha256"))
    try:
        set_arrays(network, weights)
    except StoreError as error:
        raise StoreError(f"{directory / WEIGHTS}: {error}") from error
    owned = {"format", "architecture", "normalisation", "classes", "weights_sha256"}
    notes = {key: value for key, value in description.items() if key not in owned}
    return Model(network, normalisation, tuple(map(str, classes)), notes)


def _read_description(directory: Path) -> dict[str, Any]:
    path = directory / DESCRIPTION
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreError(
            f"{directory} is not a model directory: it has no {DESCRIPTION}; give a directory that "
            "'evoprune train', 'import-torch' or 'export' wrote."
        ) from None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read ({error}); restore it or write the model anew.") from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        found = description.get("format") if isinstance(description, dict) else None
        raise StoreError(f"{path} has format {found!r}; this version reads format {FORMAT}.")
    return description


def read_weights(path: Path, sha256: str | None = None) -> dict[str, np.ndarray]:
    """Arrays of a safetensors file, checked against ``sha256`` if one is given.

    Raises:
        StoreError: missing, truncated, not safetensors, a type that NumPy lacks, or another checksum.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise StoreError(f"{path} is missing; restore it or write the model anew.") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from error
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise StoreError(
            f"{path} is damaged (truncated or changed: its checksum differs from {DESCRIPTION}'s); "
            "restore it or write the model anew."
        )
    try:
        return parse_safetensors(content)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path} is not a usable safetensors file ({error}).") from error

"""Model directories: ``model.json`` and ``weights.safetensors``, written all at once or not at all.

``sensitivity.safetensors`` lies beside them if training gathered it. Nothing in a model directory is ever
executed or unpickled.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as parse_safetensors
from safetensors.numpy import save as serialise_safetensors

from models import git_lfs, output_directory
from models.arrays import arrays_of, kernels_of, set_arrays
from models.classes import Unnamed
from models.contract import Network
from models.errors import FactoryError, NetworkError, StoreError
from models.networks.registry import architecture_from_json
from models.normalisation import Normalisation
from models.xla import check_devices

FORMAT = 2
DESCRIPTION = "model.json"
WEIGHTS = "weights.safetensors"
SENSITIVITY = "sensitivity.safetensors"


@dataclass
class Model:
    """A network with its normalisation, its class names and its origin.

    Attributes:
        classes: their names, one for each output; :class:`models.classes.Unnamed` where nobody named them.
        notes: free JSON for ``model.json``: data, training settings, accuracies, versions, ancestry.
        sensitivity: of each weight, by kernel name, if training gathered it (:mod:`models.training.sensitivity`).
    """

    network: Network
    normalisation: Normalisation
    classes: tuple[str, ...]
    notes: dict[str, Any] = field(default_factory=dict)
    sensitivity: dict[str, np.ndarray] | None = None

    def digest(self) -> str:
        """SHA-256 of everything that decides the logits: architecture, normalisation and arrays."""
        digest = hashlib.sha256()
        identity = [self.network.architecture.to_json(), self.normalisation.to_json()]
        digest.update(json.dumps(identity, sort_keys=True).encode())
        for name, array in arrays_of(self.network).items():
            digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def save(directory: Path, model: Model) -> None:
    """Write a model directory, as :func:`models.output_directory.write` does."""
    output_directory.write(directory, files(model))


def files(model: Model) -> dict[str, bytes]:
    """The files of a model directory; ``model.json`` is last, because a directory without it holds no model."""
    weights = serialise_safetensors(arrays_of(model.network))
    content = {WEIGHTS: weights}
    checksums = {"weights_sha256": hashlib.sha256(weights).hexdigest()}
    if model.sensitivity is not None:
        content[SENSITIVITY] = serialise_safetensors(model.sensitivity)
        checksums["sensitivity_sha256"] = hashlib.sha256(content[SENSITIVITY]).hexdigest()
    description = {
        "format": FORMAT,
        "architecture": model.network.architecture.to_json(),
        "normalisation": model.normalisation.to_json(),
        "classes": None if isinstance(model.classes, Unnamed) else list(model.classes),
        **checksums,
        **model.notes,
    }
    content[DESCRIPTION] = (json.dumps(description, indent=2) + "\n").encode()
    return content


def load(directory: Path) -> Model:
    """Read a model directory.

    Raises:
        StoreError: a file is missing, damaged, or does not fit the other one.
    """
    check_devices()
    directory = Path(directory)
    description = _read_description(directory)
    with _naming_description(directory):
        network = architecture_from_json(description.get("architecture")).blank()
        normalisation = Normalisation.from_json(description.get("normalisation"))
    channels = network.architecture.input_shape[-1]
    if len(normalisation.mean) != channels:
        raise StoreError(
            f"{directory / DESCRIPTION} is damaged: it normalises {len(normalisation.mean)} channels, but "
            f"its network takes {channels}."
        )
    count, names = network.architecture.classes, description.get("classes", ())
    if names is not None and (not isinstance(names, list) or len(names) != count):
        raise StoreError(
            f"{directory / DESCRIPTION} is damaged: 'classes' must name {count} classes, or be null."
        )
    classes = Unnamed.of(count) if names is None else tuple(map(str, names))
    weights = read_weights(directory / WEIGHTS, str(description.get("weights_sha256")))
    try:
        set_arrays(network, weights)
    except StoreError as error:
        raise StoreError(f"{directory / WEIGHTS}: {error}") from error
    sensitivity = None
    if "sensitivity_sha256" in description:
        sensitivity = read_weights(directory / SENSITIVITY, str(description["sensitivity_sha256"]))
        _check_sensitivity(directory / SENSITIVITY, sensitivity, network)
    owned = {"format", "architecture", "normalisation", "classes", "weights_sha256", "sensitivity_sha256"}
    notes = {key: value for key, value in description.items() if key not in owned}
    return Model(network, normalisation, classes, notes, sensitivity)


def load_blank(directory: Path) -> Network:
    """The network of a model directory, with shapes in place of its weights; costs no time or memory.

    Raises:
        StoreError: ``model.json`` is missing or damaged.
        DeviceError: see :func:`models.xla.check_devices`.
    """
    check_devices()
    directory = Path(directory)
    description = _read_description(directory)
    with _naming_description(directory):
        return architecture_from_json(description.get("architecture")).blank()


@contextmanager
def _naming_description(directory: Path) -> Iterator[None]:
    """Turn errors about an architecture or a normalisation into errors that name ``model.json``."""
    try:
        yield
    except FactoryError as error:
        raise StoreError(f"{directory}: {error}") from error
    except (NetworkError, ValueError, TypeError, OverflowError) as error:
        raise StoreError(f"{directory / DESCRIPTION} is damaged: {error}") from error


def _check_sensitivity(path: Path, sensitivity: dict[str, np.ndarray], network: Network) -> None:
    expected = {name: kernel.shape for name, kernel in kernels_of(network).items()}
    found = {name: array.shape for name, array in sensitivity.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise StoreError(
                f"{path} does not fit the weights: {name!r} has shape {found.get(name)}, not "
                f"{expected.get(name)}; train the model anew with `track_sensitivity`."
            )
        if sensitivity[name].dtype.kind != "f" or not np.isfinite(sensitivity[name]).all():
            raise StoreError(
                f"{path} is damaged: {name!r} holds numbers that are not finite; train the model anew with "
                "`track_sensitivity`."
            )


def _read_description(directory: Path) -> dict[str, Any]:
    path = directory / DESCRIPTION
    try:
        content = path.read_bytes()
        if git_lfs.is_pointer(content):
            raise StoreError(f"{path} {git_lfs.REMEDY}")
        description = json.loads(content.decode("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(
            f"{directory} is not a model directory: it has no {DESCRIPTION}; give a directory that "
            "'evoprune train', 'import-torch' or 'export' wrote."
        ) from None
    except (OSError, ValueError, RecursionError) as error:
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
    if git_lfs.is_pointer(content):
        raise StoreError(f"{path} {git_lfs.REMEDY}")
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise StoreError(
            f"{path} is damaged (truncated or changed: its checksum differs from {DESCRIPTION}'s); "
            "restore it or write the model anew."
        )
    try:
        return parse_safetensors(content)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path} is not a usable safetensors file ({error}).") from error

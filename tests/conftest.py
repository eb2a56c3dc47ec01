"""Small real networks and images for all tests; nothing here needs a network or files outside the project."""

import os
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Tests must not write into the home folder; yet many compile the same programs, workers above all.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.05")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import settings

from fitness.genome import Genome
from models.normalisation import Normalisation
from models.store import Model, save
from models.vgg import VGGArchitecture

# Compilation makes single examples slow on small machines; correctness is what is tested.
settings.register_profile("evoprune", deadline=None, max_examples=25)
settings.load_profile("evoprune")

TINY = VGGArchitecture("tiny", ((4, 6), (8,)), (9,), 3, (8, 8, 2), dropout=0.0)


@pytest.fixture(scope="session")
def tiny_model() -> Model:
    """An untrained network of 18 convolution filters and 9 neurons, on 8x8x2 images."""
    return Model(TINY.build(7), Normalisation((0.4, 0.5), (0.3, 0.2)), ("a", "b", "c"))


@pytest.fixture(scope="session")
def tiny_images(tiny_model):
    """``uint8[50, 8, 8, 2]`` and the labels that make the network right on all but each tenth image."""
    images = np.random.default_rng(3).integers(0, 256, (50, 8, 8, 2), dtype=np.uint8)
    logits = tiny_model.network(tiny_model.normalisation(jnp.asarray(images)))
    labels = np.array(jnp.argmax(logits, axis=-1), np.int32)
    labels[::10] = (labels[::10] + 1) % 3
    return images, labels


@pytest.fixture(scope="session")
def tiny_genome(tiny_model) -> Genome:
    return Genome.of(tiny_model.network)


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory, tiny_images):
    """A ``npz`` file of the images: 40 to search on, 10 held out."""
    images, labels = tiny_images
    path = tmp_path_factory.mktemp("data") / "tiny.npz"
    np.savez(path, x_train=images[:40], y_train=labels[:40], x_test=images[40:], y_test=labels[40:])
    return path


@pytest.fixture(scope="session")
def tiny_directory(tmp_path_factory, tiny_model):
    path = tmp_path_factory.mktemp("models") / "tiny"
    save(path, tiny_model)
    return path

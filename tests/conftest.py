"""Settings of every test process, and what all tests share: a tiny network, its images and one local Ray."""

import gc
import os
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Not in the home folder. All programs are kept: test processes and workers compile the same small ones again and again.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import settings

from fitness.genome import Genome
from models.model_directory import Model, save
from models.networks.resnet import ResNetArchitecture
from models.networks.vgg import VGGArchitecture
from models.normalisation import Normalisation
from tests.models.support.small_networks import filled, logits
from tests.support.process import mappings

# Compilation makes single examples slow on small machines.
settings.register_profile("evoprune", deadline=None, max_examples=25)
settings.load_profile("evoprune")

MOST_MAPPINGS = 25_000
"""Memory mappings of a process. A compiled program has about two dozen and takes 2 MB; Linux allows 65,530."""

LONGEST_FIRST = ("fitness", "models", "experiments")
"""Folders by the time that a test takes; the others are short."""

RAY_WORKERS = 4
SHARED_RAY = []
"""What ends the Ray that ``local_ray`` started, while tests share it."""

NORMED = ResNetArchitecture("normed", (4, 6), ((3,), (4,)), 3, (8, 8, 2))
TINY = VGGArchitecture("tiny", ((4, 6), (8,)), (9,), 3, (8, 8, 2), dropout=0.0)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Forms the groups of ``--dist loadgroup``: the tests that share the local Ray, and the tests of each file.

    The longest come first, so that no worker is left alone with one of them at the end.
    """
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.relative_to(Path(__file__).parent).parts[0], len(places)))
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            shares_ray = "local_ray" in getattr(item, "fixturenames", ())
            group = (
                "ray" if shares_ray else item.path.relative_to(Path(__file__).parent).with_suffix("").as_posix()
            )
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture
def local_ray():
    """A private Ray with room for 4 workers, which pools join; tests in a row share one, as a start takes seconds."""
    ray = pytest.importorskip("ray")
    if not ray.is_initialized():
        from engine.cluster.connection import connect
        from engine.cluster.options import PoolOptions

        SHARED_RAY.append(connect(ray, PoolOptions(RAY_WORKERS)))
    return ray


def pytest_collection_finish():
    """Takes what was imported out of later garbage collections, which look at hundreds of thousands of objects."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item):
    """Ends the local Ray before a test that does not use ``local_ray``, which may start or join another."""
    if "local_ray" not in getattr(item, "fixturenames", ()):
        end_shared_ray()


def pytest_runtest_teardown(item, nextitem):
    """Frees compiled programs once there are many: files share them, and thousands of tests compile several GB."""
    last_of_file = nextitem is None or nextitem.path != item.path
    if last_of_file and mappings() > MOST_MAPPINGS:
        gc.collect()
        if mappings() > MOST_MAPPINGS:
            jax.clear_caches()
            gc.collect()


def pytest_sessionfinish():
    end_shared_ray()


def end_shared_ray():
    while SHARED_RAY:
        SHARED_RAY.pop().close()


@pytest.fixture(scope="session")
def tiny_model() -> Model:
    """An untrained network of 18 convolution filters and 9 neurons, on 8x8x2 images."""
    return Model(TINY.build(7), Normalisation((0.4, 0.5), (0.3, 0.2)), ("a", "b", "c"))


@pytest.fixture(scope="session")
def tiny_images(tiny_model):
    """``uint8[50, 8, 8, 2]`` and the labels that make the network right on all but each tenth image."""
    images = np.random.default_rng(3).integers(0, 256, (50, 8, 8, 2), dtype=np.uint8)
    answers = logits(tiny_model.network, tiny_model.normalisation(jnp.asarray(images)))
    labels = np.argmax(np.asarray(answers), axis=-1).astype(np.int32)
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


@pytest.fixture(scope="session")
def normed_directory(tmp_path_factory, tiny_model):
    """A small ResNet with batch norm, whose statistics are not those of its inputs, for the images of ``tiny_data``."""
    path = tmp_path_factory.mktemp("models") / "normed"
    save(path, Model(filled(NORMED, 4), tiny_model.normalisation, tiny_model.classes))
    return path

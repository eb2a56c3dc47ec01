"""A count is remembered for the same network, images and code, and is never taken for another."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.data.datasets import ImageSet
from experiments.measurement import known_counts
from experiments.measurement.known_counts import KnownCount
from experiments.runs.search import start_search
from fitness.evaluation import compilation_cache
from fitness.evaluation.streaming import StreamedEvaluator
from models.normalisation import Normalisation
from tests.models.support.own_networks import built
from tests.support.runs import options_for


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(compilation_cache, "folder", lambda: tmp_path)
    return tmp_path


@pytest.fixture
def images(tiny_images, tiny_model):
    return ImageSet(*tiny_images, tiny_model.classes, "tiny", "test")


def test_a_count_is_known_to_the_next_command(cache, tiny_model, images):
    assert KnownCount(tiny_model, images).read() is None
    KnownCount(tiny_model, images).keep(17)
    assert KnownCount(tiny_model, images).read() == 17


def test_another_network_other_images_labels_or_code_have_another_count(cache, tiny_model, images, monkeypatch):
    KnownCount(tiny_model, images).keep(17)
    other = replace(tiny_model, network=tiny_model.network.architecture.build(1))
    brighter = replace(tiny_model, normalisation=Normalisation((0.1, 0.5), (1.0, 1.0)))
    labels = np.roll(images.labels, 1)
    for model, seen in (
        (other, images),
        (brighter, images),
        (tiny_model, replace(images, labels=labels)),
        (tiny_model, images.at(np.arange(len(images) - 1))),
    ):
        assert KnownCount(model, seen).read() is None
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_max_isa=AVX2")
    assert KnownCount(tiny_model, images).read() is None
    monkeypatch.undo()
    monkeypatch.setattr(compilation_cache, "folder", lambda: cache)
    monkeypatch.setattr(known_counts, "_code", lambda: "of another version")
    assert KnownCount(tiny_model, images).read() is None


def test_a_damaged_file_is_no_count(cache, tiny_model, images):
    known = KnownCount(tiny_model, images)
    known.keep(17)
    [path] = cache.glob("correct-*")
    content = path.read_bytes()

    @given(st.integers(0, len(content) - 1), st.integers(1, 255), st.booleans())
    def check(place, bits, cut):
        changed = content[place] ^ bits
        path.write_bytes(content[:place] if cut else content[:place] + bytes([changed]) + content[place + 1 :])
        assert known.read() is None

    check()


def test_without_a_cache_nothing_is_kept(tmp_path, tiny_model, images, monkeypatch):
    known = KnownCount(tiny_model, images)
    known.keep(17)
    assert known.read() is None
    monkeypatch.setattr(compilation_cache, "folder", lambda: tmp_path / "gone")
    known = KnownCount(tiny_model, images)
    known.keep(17)
    assert known.read() is None


def test_a_module_of_the_users_own_is_counted_every_time(cache, tiny_model, images):
    network = built("PlainCNN")
    known = KnownCount(replace(tiny_model, network=network), images)
    known.keep(17)
    assert known.read() is None


def test_the_second_search_of_a_network_counts_best_alone(
    cache, tmp_path, tiny_directory, tiny_data, monkeypatch
):
    counted = []
    evaluate = StreamedEvaluator.evaluate

    def noting(self, masks):
        counted.append(len(masks))
        return evaluate(self, masks)

    monkeypatch.setattr(StreamedEvaluator, "evaluate", noting)
    options = options_for(tiny_directory, tiny_data, generations=2)
    first = start_search(tmp_path / "first", options)
    second = start_search(tmp_path / "second", options)
    assert counted == [2, 1]
    assert first.held_out == second.held_out

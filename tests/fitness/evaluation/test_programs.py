"""Programs are compiled once for a structure, and never shared by networks that differ in more than their weights."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from threading import Event

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fitness.evaluation import programs, structures
from fitness.evaluation.compaction import Compaction
from fitness.evaluation.counting import MaskedCounter
from fitness.evaluation.division import Batches
from fitness.evaluation.evaluator import LocalEvaluator
from fitness.evaluation.masked_stages import MaskedStages
from fitness.evaluation.structures import structure_of
from fitness.evaluation.tree.compilation import compile_programs
from fitness.evaluation.tree.prefix_tree import plan
from fitness.genome import Genome
from models.compensation.method import Compensation
from models.compensation.moments import gather_moments
from models.compensation.recalibration import Calibration
from models.model_directory import Model
from models.normalisation import Normalisation
from models.stages.convolution import ConvolutionStage
from models.windows import Window
from tests.fitness.evaluation.test_evaluator import random_masks
from tests.models.support.own_networks import built
from tests.models.support.small_networks import small
from tests.support.process import mappings


@contextmanager
def compilations():
    """Names of the compilations that happen within."""
    found = []

    def listen(event, duration, **details):
        if event == "/jax/core/compile/backend_compile_duration":
            found.append(details.get("fun_name", event))

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield found
    jax.monitoring.unregister_event_duration_listener(listen)


def answers(model, layout, data, masks, **options):
    with LocalEvaluator(model, layout, *data, 16, **options) as evaluator:
        return evaluator.evaluate(masks), evaluator.predict(masks[0])


def test_a_second_evaluator_of_equal_structure_compiles_nothing(tiny_model, tiny_images, tiny_genome):
    masks = random_masks(tiny_genome.layout, 6, 0)
    others = Model(tiny_model.network.architecture.build(8), tiny_model.normalisation, tiny_model.classes)
    programs.drop()
    with compilations() as first:
        found = answers(tiny_model, tiny_genome.layout, tiny_images, masks)
    assert 5 <= programs.held() <= len(first)
    with compilations() as second:
        again = answers(tiny_model, tiny_genome.layout, tiny_images, masks)
        with_other_weights = answers(others, tiny_genome.layout, tiny_images, masks)
    assert second == []
    np.testing.assert_array_equal(found[1], again[1])
    assert found[0].tolist() == again[0].tolist() != with_other_weights[0].tolist()
    programs.drop()
    alone = answers(others, tiny_genome.layout, tiny_images, masks)
    np.testing.assert_array_equal(alone[0], with_other_weights[0])
    np.testing.assert_array_equal(alone[1], with_other_weights[1])


def test_what_is_the_same_is_shared_and_what_differs_is_not(tiny_model, tiny_images, tiny_genome):
    """Compensation, normalisation, batch shape and precision add their own programs, each once."""
    layout, masks = tiny_genome.layout, random_masks(tiny_genome.layout, 4, 0)
    products = gather_moments(tiny_model.network, tiny_model.normalisation, tiny_images[0], layout.names)
    grey = Model(tiny_model.network, Normalisation((0.1, 0.1), (0.3, 0.2)), tiny_model.classes)
    fewer = tuple(part[:30] for part in tiny_images)
    # Programs of other tests would reach the limit on what is held.
    programs.drop()
    answers(tiny_model, layout, tiny_images, masks)
    for model, data, options in (
        (tiny_model, tiny_images, {"compensation": Compensation("linear", products)}),
        (grey, tiny_images, {}),
        (tiny_model, fewer, {}),
        (tiny_model, tiny_images, {"precision": "bfloat16"}),
    ):
        before = programs.held()
        answers(model, layout, data, masks, **options)
        held = programs.held()
        assert held > before
        answers(model, layout, data, masks, **options)
        assert programs.held() == held


OF_STAGES = {"jit(fold)", "jit(prepare)", "jit(calibrate)", "jit(run)", "jit(count)"}


@pytest.mark.parametrize("network", [small("resnet20"), built("ResNet")], ids=["ours", "own"])
@pytest.mark.parametrize("method", ["linear", "linear+recalibrate"])
def test_all_programs_are_compiled_before_the_walk_and_none_twice(network, method):
    shape = network.architecture.input_shape
    normalisation = Normalisation((0.5,) * shape[2], (0.25,) * shape[2])
    layout = Genome.of(network, "all").layout
    images = np.random.default_rng(0).integers(0, 256, (16, *shape), dtype=np.uint8)
    labels = np.arange(16, dtype=np.int32) % 4
    products = gather_moments(network, normalisation, images, layout.names)
    calibration = Calibration.of(network, images, normalisation) if "recalibrate" in method else None
    compensation = Compensation(method, products, calibration)
    counter = MaskedCounter(network, normalisation, layout, compensation=compensation)
    placed = counter.place(Batches.of(images, labels, 8))
    masks = random_masks(layout, 3, 0)
    tree = plan(masks, layout, counter.stages.chain, counter.compaction)
    programs.drop()
    with ThreadPoolExecutor(3) as threads, compilations() as before:
        measured_on = None if calibration is None else jnp.asarray(calibration.images)
        compile_programs(counter.stages, MaskedStages.count, tree, masks, placed[0], measured_on, threads)
    with compilations() as walking:
        counter.count(placed, masks)
    assert OF_STAGES.isdisjoint(walking)
    called = sum(program._cache_size() for program in programs._PROGRAMS)
    assert called == programs.held() == len([name for name in before if name in OF_STAGES])


def test_an_interruption_leaves_waiting_programs_uncompiled():
    begun, go_on = Event(), Event()

    class Lowered:
        out_info = ()

        def as_text(self):
            return "the same"

        def compile(self):
            begun.set()
            go_on.wait()
            compiled.append(self)

    class Program:
        def lower(self, number):
            return Lowered()

    compiled, program = [], Program()
    with ThreadPoolExecutor(1) as threads:
        with suppress(KeyboardInterrupt), programs.Orders(threads) as orders:
            for number in range(3):
                orders.order(program, number)
            begun.wait()
            raise KeyboardInterrupt
        go_on.set()
    assert len(compiled) == 1
    programs.drop()


def convolution(**changes):
    defaults = {
        "name": "conv",
        "reads": "before",
        "inputs": 3,
        "filters": 4,
        "size": (8, 8),
        "window": Window((3, 3)),
        "batch_norm": True,
        "activation": "relu",
        "pool": "max",
        "dropout": 0.0,
    }
    return nnx.eval_shape(lambda: ConvolutionStage(**{**defaults, **changes}, rngs=nnx.Rngs(0)))


def with_epsilon(epsilon):
    stage = convolution()
    stage.norm.epsilon = epsilon
    return stage


class OwnStage(ConvolutionStage):
    """Code of somebody's own."""


def test_structures_differ_in_everything_that_is_no_array():
    plain = convolution()
    assert structure_of(plain) is structure_of(convolution())
    different = [
        convolution(name="other"),
        convolution(reads=None),
        convolution(filters=5),
        convolution(size=(8, 9)),
        convolution(window=Window((3, 3), 2)),
        convolution(window=Window((3, 3), padded=False)),
        convolution(window=Window((5, 5))),
        convolution(batch_norm=False),
        convolution(activation="tanh"),
        convolution(pool="average"),
        convolution(pool=None),
        convolution(dropout=0.5),
        with_epsilon(1e-3),
    ]
    own = convolution()
    own.__class__ = OwnStage
    found = [structure_of(stage) for stage in [plain, *different, own]]
    assert len(set(map(id, found))) == len(found)


def test_attributes_that_python_holds_for_equal_differ():
    stages = [convolution() for _ in range(3)]
    for stage, value in zip(stages, (1, 1.0, True), strict=True):
        stage.factor = value
    found = [structure_of(stage) for stage in stages]
    assert len(set(map(id, found))) == 3


def test_networks_of_one_architecture_have_the_same_structure_however_made(tiny_model):
    others = [small(name) for name in ("resnet20", "lenet5-sigmoid")]
    for one in (tiny_model.network, *others):
        other = one.architecture.blank()
        for stage, same in zip(one.stages, other.stages, strict=True):
            assert structure_of(stage) is structure_of(same)


def test_a_structure_holds_no_weights_and_goes_with_its_programs(tiny_model):
    leaves = jax.tree.leaves(nnx.state(structure_of(tiny_model.network.stages[0]).stage))
    assert leaves
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in leaves)
    before = len(structures._STRUCTURES)
    kept = structure_of(convolution(name="of no program"))
    assert len(structures._STRUCTURES) == before + 1
    del kept
    assert len(structures._STRUCTURES) == before


def test_networks_of_somebodys_own_share_by_identity_only():
    architecture = built("PlainCNN").architecture
    first, second = architecture.blank(), architecture.blank()
    for one, other in zip(first.stages, second.stages, strict=True):
        assert structure_of(one) is structure_of(one)
        assert structure_of(one) is not structure_of(other)


def test_programs_are_bounded_by_widths_not_by_masks(tiny_model, tiny_images, tiny_genome):
    """Three groups of at most 2 widths: in and out widths of each stage, whatever 60 masks ask for."""
    images, labels = tiny_images
    counter = MaskedCounter(
        tiny_model.network, tiny_model.normalisation, tiny_genome.layout, compaction=Compaction(2, spacing=1)
    )
    programs.drop()
    placed = counter.place(Batches.of(images, labels, 16))
    for seed in range(20):
        counter.count(placed, random_masks(tiny_genome.layout, 3, seed))
    # Runs: conv1_1 2, conv1_2 2x2, conv2_1 2x2, the tail 2; as many programs cut the weights; two more
    # prepare fc1's successor and the head.
    before = programs.held()
    assert before <= 12 + 12 + 2
    counter.count(placed, random_masks(tiny_genome.layout, 40, 99))
    assert programs.held() - before <= 26 - before


def test_programs_are_dropped_when_there_are_too_many(tiny_model, tiny_images, tiny_genome, monkeypatch):
    """On a CPU each takes memory mappings, of which a process has so many."""
    images, labels = tiny_images
    network = (tiny_model.network, tiny_model.normalisation, tiny_genome.layout)
    masks = random_masks(tiny_genome.layout, 5, 0)
    unbounded, bounded = (MaskedCounter(*network, compaction=Compaction(4, spacing=1)) for _ in range(2))
    batches = Batches.of(images, labels, 16)
    programs.drop()
    without_programs = mappings()
    expected = unbounded.count(unbounded.place(batches), masks)
    held, with_programs = programs.held(), mappings()
    assert held > 12
    assert with_programs > without_programs + held
    programs.drop()
    assert mappings() < without_programs + (with_programs - without_programs) / 2
    monkeypatch.setattr(programs, "MOST_PROGRAMS", 6)
    found = bounded.count(bounded.place(batches), masks)
    np.testing.assert_array_equal(found, expected)
    # A node asks for the weights, and then runs.
    assert programs.held() <= 6 + 2


def test_whole_groups_share_one_program_a_stage(tiny_model, tiny_images, tiny_genome):
    evaluator = LocalEvaluator(tiny_model, tiny_genome.layout, *tiny_images, 16)
    evaluator.compile()
    before = programs.held()
    for seed in range(3):
        evaluator.evaluate(random_masks(tiny_genome.layout, 4, seed))
    assert programs.held() == before

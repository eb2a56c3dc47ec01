import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fitness.evaluation.compaction import WHOLE, Compaction
from fitness.evaluation.counting import MaskedCounter
from fitness.evaluation.division import Batches
from fitness.evaluation.shard_worker import blueprint
from fitness.genome import Genome
from fitness.importance import IMPORTANCES, Subject
from fitness.importance.contract import ImportanceError
from models.arrays import arrays_of, set_arrays, stage_arrays
from models.contract import Gate
from models.cost import masked_cost, network_cost
from models.errors import ArchitectureError, DependencyError
from models.export.onnx import ONNX
from models.model_directory import Model
from models.networks.registry import architecture_from_json
from models.normalisation import Normalisation
from models.pruning import prune
from models.tracing import factories
from models.tracing.architecture import ModuleArchitecture
from models.tracing.pruned import in_inference
from models.training.loop import TrainingSettings, train
from tests.models.support.own_networks import NAMES, built, fresh
from tests.models.support.small_networks import assert_close, random_keeps


@pytest.fixture(autouse=True)
def quick_compilation():
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@jax.jit
def logits(network, images, keeps):
    """Compiled once for a network and a number of images: masks are arguments, and tests share networks."""
    return network(images, keeps)


def everything(network):
    return {group.name: np.ones(group.size, bool) for group in network.filter_groups}


@pytest.mark.parametrize("name", NAMES)
def test_the_chain_is_the_module_and_pruning_keeps_its_logits(name):
    network = built(name)
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.standard_normal((3, *network.architecture.input_shape)), jnp.float32)
    whole = in_inference(network.module)(images)
    np.testing.assert_allclose(logits(network, images, everything(network)), whole, rtol=1e-4, atol=1e-4)
    keeps = random_keeps(network.filter_groups, rng)
    smaller = prune(network, keeps)
    # The user's own code, not the program that was found in it.
    assert_close(in_inference(smaller.module)(images), logits(network, images, keeps))
    cost = masked_cost(network, {name: keep[None] for name, keep in keeps.items()}, 1)
    assert network_cost(smaller) == (cost.parameters[0], cost.macs[0])


def test_a_network_that_shuffles_and_splits_is_exported(tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from tests.models.support.onnx_graphs import runtime_logits

    network = built("ShuffleNet")
    rng = np.random.default_rng(0)
    images = rng.standard_normal((3, *network.architecture.input_shape)).astype(np.float32)
    for _ in range(5):
        keeps = random_keeps(network.filter_groups, rng)
        smaller = Model(prune(network, keeps), Normalisation((0.5,) * 3, (0.25,) * 3), tuple("abcde"))
        (tmp_path / "pruned.onnx").write_bytes(ONNX().files(smaller)["model.onnx"])
        found = runtime_logits(tmp_path / "pruned.onnx", images, order=(0, 1, 2, 3))
        assert_close(found, logits(network, images, keeps))


@pytest.mark.parametrize(
    ("name", "rounds"),
    [
        ("ResNet", 1),
        ("DenseNet", 1),
        *(pytest.param(name, 5, marks=pytest.mark.slow) for name in NAMES),
    ],
)
def test_one_filter_left_of_a_group_and_then_fewer_of_the_others(name, rounds):
    network = built(name)
    rng = np.random.default_rng(3)
    images = jnp.asarray(rng.standard_normal((3, *network.architecture.input_shape)), jnp.float32)
    groups = network.filter_groups
    for alone in groups[:: -(-len(groups) // rounds)]:
        first = {alone.name: np.arange(alone.size) == rng.integers(alone.size)}
        narrow = prune(network, first)
        assert {group.name for group in narrow.filter_groups} == {group.name for group in groups}
        then = random_keeps(narrow.filter_groups, rng)
        both = everything(network) | first
        for group, keep in then.items():
            both[group][both[group]] = keep
        again = prune(narrow, then)
        assert_close(logits(narrow, images, then), logits(network, images, both))
        cost = masked_cost(network, {group: keep[None] for group, keep in both.items()}, 1)
        assert network_cost(again) == (cost.parameters[0], cost.macs[0])


class Scaled(nnx.Module):
    """Divides by the number of its channels."""

    def __init__(self, rngs):
        self.conv = nnx.Conv(3, 8, (3, 3), rngs=rngs)
        self.head = nnx.Linear(8, 5, rngs=rngs)

    def __call__(self, x):
        x = jnp.mean(jnp.tanh(self.conv(x)), axis=(1, 2))
        return self.head(x / jnp.sqrt(x.shape[-1]))


class Branching(Scaled):
    """Goes another way where few channels are left."""

    def __call__(self, x):
        x = jnp.mean(jnp.tanh(self.conv(x)), axis=(1, 2))
        return self.head(x if x.shape[-1] > 2 else 2 * x + x)


@pytest.mark.parametrize("module", [Scaled, Branching])
def test_code_that_depends_on_the_number_of_filters_is_refused_when_it_is_built(module, monkeypatch):
    monkeypatch.setitem(factories._FACTORIES, "mine:network", lambda rngs, *, input_shape, classes: module(rngs))
    architecture = ModuleArchitecture("mine:network", (8, 8, 3), 5)
    with pytest.raises(DependencyError, match=r"mine:network: .*something else with fewer filters"):
        architecture.build(0)
    if module is Branching:
        with pytest.raises(DependencyError, match="another path"):
            architecture.with_widths({"conv": 2}).blank()


@pytest.mark.parametrize("name", NAMES)
def test_gates_of_zeros_and_ones_are_a_mask_for_each_image(name):
    network = built(name)
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.standard_normal((3, *network.architecture.input_shape)), jnp.float32)
    keeps = [random_keeps(network.filter_groups, rng) for _ in images]
    gates = {group: Gate(jnp.stack([keep[group] for keep in keeps]).astype(jnp.float32)) for group in keeps[0]}
    gated = logits(network, images, gates)
    for number, keep in enumerate(keeps):
        np.testing.assert_allclose(gated[number], logits(network, images, keep)[number], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("group", "reader"), [("conv1", "conv2"), ("linear1", "linear2")])
def test_a_gate_is_a_factor_of_what_is_read(group, reader):
    network = built("PlainCNN")
    images = np.random.default_rng(0).standard_normal((3, *network.architecture.input_shape))
    images = jnp.asarray(images, jnp.float32)
    sizes = {each.name: each.size for each in network.filter_groups}
    factors = np.linspace(0.3, 1.5, sizes[group], dtype=np.float32)
    gated = logits(network, images, {group: Gate(jnp.tile(factors, (3, 1)))})
    scaled = network.architecture.blank()
    arrays = arrays_of(network)
    [kernel] = [name for name in arrays if name.endswith(f"{reader}.kernel")]
    set_arrays(scaled, {**arrays, kernel: arrays[kernel] * factors[:, None]})
    np.testing.assert_allclose(gated, logits(scaled, images, everything(network)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", IMPORTANCES)
def test_an_importance_is_computed_or_says_why_not(method):
    network = built("ResNet")
    images = np.random.default_rng(0).integers(0, 256, (8, *network.architecture.input_shape), dtype=np.uint8)
    model = Model(network, Normalisation((0.5,) * 3, (0.25,) * 3), tuple("abcde"))
    layout = Genome.of(network, "all").layout
    subject = Subject(model, layout, images, np.arange(8, dtype=np.int32) % 5)
    if method == "karnin":
        with pytest.raises(ImportanceError, match=r"track.sensitivity"):
            IMPORTANCES[method](subject)
    else:
        found = IMPORTANCES[method](subject)
        assert found.shape == (layout.n_filters,)
        # Removing one filter changes none of eight answers.
        assert len(np.unique(found)) > 1 or method == "oracle"


def test_cuts():
    stages = {
        name: [stage.name for stage in built(name).stages] for name in ("PlainCNN", "ResNet", "DenseNet", "MLP")
    }
    assert stages["PlainCNN"] == ["conv1", "conv2", "linear1", "linear2"]
    assert stages["ResNet"] == ["stem", "blocks.0.conv1", "blocks.1.conv1", "blocks.2.conv1", "head"]
    assert stages["MLP"] == ["layers.0", "layers.1", "out"]
    assert stages["DenseNet"][0] == "stem"
    assert "transition" in stages["DenseNet"]


@pytest.mark.parametrize(
    ("name", "compaction"),
    [
        ("ResNet", WHOLE),
        ("DenseNet", Compaction(4, spacing=3)),
        pytest.param("ResNet", Compaction(4, spacing=3), marks=pytest.mark.slow),
        pytest.param("DenseNet", WHOLE, marks=pytest.mark.slow),
    ],
)
def test_counts_are_those_of_the_masked_network(name, compaction):
    network = built(name)
    genome = Genome.of(network, "all")
    rng = np.random.default_rng(2)
    shape = network.architecture.input_shape
    images = rng.integers(0, 256, (12, *shape), dtype=np.uint8)
    normalisation = Normalisation((0.5,) * 3, (0.25,) * 3)
    masks = np.stack([np.concatenate(list(random_keeps(network.filter_groups, rng).values())) for _ in range(3)])
    # Equal up to some layer, so that their first stages are shared.
    masks[2] = np.where(np.arange(masks.shape[1]) < genome.layout.offsets[3], masks[0], masks[1])
    labels = rng.integers(0, 5, 12).astype(np.int32)
    batches = Batches.of(images, labels, 12)
    counter = MaskedCounter(network, normalisation, genome.layout, compaction=compaction)
    together = counter.count(counter.place(batches), masks)[0]
    for mask, count in zip(masks, together, strict=True):
        expected = logits(network, normalisation(jnp.asarray(images)), genome.layout.split(mask))
        predicted = counter.predict(counter.place(batches), mask)[:12]
        np.testing.assert_array_equal(predicted, np.argmax(expected, axis=-1))
        assert count == np.count_nonzero(predicted == labels)


def test_bfloat16_is_close():
    network = built("PlainCNN")
    images = jnp.asarray(np.random.default_rng(0).standard_normal((4, 16, 16, 3)), jnp.float32)
    keeps = {"conv1": np.arange(8) != 3}
    carry = images
    for stage in network.stages:
        carry = stage.evaluate(stage.prepare(stage_arrays(stage), jnp.bfloat16), carry, keeps)
    exact = np.asarray(logits(network, images, keeps))
    np.testing.assert_allclose(carry, exact, atol=0.05 * np.abs(exact).max())
    assert not np.array_equal(carry, exact)


def test_training_changes_parameters_and_statistics():
    network = fresh("ResNet")
    before = arrays_of(network)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (16, 8, 8, 3), dtype=np.uint8)
    settings = TrainingSettings(epochs=1, batch_size=8, augmentation="none")
    train(network, Normalisation((0.5,) * 3, (0.25,) * 3), images, np.arange(16, dtype=np.int32) % 5, settings)
    after = arrays_of(network)
    for name in ("stem.arrays.stem.kernel", "blocks.0.conv1.arrays.blocks.0.bn1.mean"):
        assert not np.array_equal(before[name], after[name])
    other = network.architecture.blank()
    set_arrays(other, after)
    inputs = jnp.ones((1, 8, 8, 3))
    np.testing.assert_allclose(other(inputs), network(inputs), rtol=1e-5)


def test_a_network_that_was_read_trains_as_the_one_that_was_made():
    """With dropout, whose random state no file holds; a smaller one trains too."""
    network = fresh("PlainCNN")
    read = network.architecture.blank()
    set_arrays(read, arrays_of(network))
    smaller = prune(network, {"conv1": np.arange(8) < 3})
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (16, *network.architecture.input_shape), dtype=np.uint8)
    data = Normalisation((0.5,) * 3, (0.25,) * 3), images, rng.integers(0, 5, 16).astype(np.int32)
    settings = TrainingSettings(epochs=2, batch_size=8, augmentation="none")
    before = [arrays_of(each) for each in (network, smaller)]
    for each in (network, read, smaller):
        train(each, *data, settings)
    for name, array in arrays_of(network).items():
        np.testing.assert_array_equal(arrays_of(read)[name], array)
    for old, each in zip(before, (network, smaller), strict=True):
        assert any(not np.array_equal(old[name], array) for name, array in arrays_of(each).items())


def test_only_the_user_makes_code_run(monkeypatch):
    entry = {"family": "module", "name": "antigravity:fly", "input_shape": [8, 8, 3], "classes": 5, "widths": {}}
    imported = []
    monkeypatch.setattr(factories.importlib, "import_module", imported.append)
    with pytest.raises(ArchitectureError, match="`model_class` antigravity:fly"):
        architecture_from_json(entry)
    assert imported == []


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nonsense", "must be package.module:factory"),
        ("no_such_package.here:net", "importing no_such_package.here failed"),
        ("json:net", "json has no function 'net'"),
    ],
)
def test_names_that_cannot_be_loaded(name, sentence):
    with pytest.raises(ArchitectureError, match=sentence):
        factories.load(name)


def test_other_processes_load_the_code_of_their_network_alone(tiny_model, tiny_genome):
    mine = next(iter(NAMES.values()))
    factories.load(mine)
    assert factories.needed_for(mine) == (mine,)
    assert blueprint(tiny_model, tiny_genome.layout, "float32")["factories"] == ()

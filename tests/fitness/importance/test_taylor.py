import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fitness.importance.errors import ImportanceError
from fitness.importance.taylor import gate_gradients, taylor, taylor_squared
from models.stages import Axis
from models.state import arrays_of, set_arrays
from tests.fitness.importance.by_hand import losses
from tests.fitness.importance.subjects import KINDS, subject_of


def finite_differences(kind, subject, step=1e-5):
    """``float64[n, n_filters]``: derivative of each image's loss by the gate of each filter."""
    columns = []
    for name, size in zip(subject.layout.names, subject.layout.sizes, strict=True):
        for channel in range(size):
            change = step * (np.arange(size) == channel)
            more, less = (losses(kind, subject, {name: 1 + sign * change}) for sign in (1, -1))
            columns.append((more - less) / (2 * step))
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("kind", KINDS)
def test_taylor_equals_finite_differences_of_the_loss(kind):
    subject = subject_of(kind)
    expected = finite_differences(kind, subject)
    assert np.count_nonzero(np.abs(expected).max(axis=0) > 1e-3) > subject.layout.n_filters / 2
    parts = list(gate_gradients(subject, batch=8))
    found = np.concatenate([np.concatenate(list(part.values()), axis=1) for part in parts])
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=2e-5)

    np.testing.assert_allclose(taylor_squared(subject), np.square(expected).sum(axis=0), rtol=1e-3, atol=1e-6)
    means = subject.layout.split(np.abs(expected).mean(axis=0))
    by_layer = np.concatenate([part / np.sqrt(np.sum(part**2)) for part in means.values()])
    np.testing.assert_allclose(taylor(subject), by_layer, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("kind", "group"), [("plain", "conv1_2"), ("plain", "conv2_1"), ("residual", "inner1")])
def test_a_small_filter_removed_by_a_mask_changes_the_loss_as_predicted(kind, group):
    subject = subject_of(kind, [group])
    network = subject.model.network
    arrays = arrays_of(network)
    for stage in network.stages:
        for path, spec in stage.specs().items():
            for number, axis in enumerate(spec.axes[:-1]):
                if isinstance(axis, Axis) and axis.group == group:
                    arrays[f"{stage.name}.{path}"] = (
                        np.take(
                            arrays[f"{stage.name}.{path}"],
                            range(arrays[f"{stage.name}.{path}"].shape[number]),
                            axis=number,
                        )
                        * 0.01
                    )
    set_arrays(network, arrays)
    inputs = subject.model.normalisation(jnp.asarray(subject.images))

    def loss(keeps):
        return np.asarray(optax.softmax_cross_entropy_with_integer_labels(network(inputs, keeps), subject.labels))

    whole = loss({})
    for channel in range(subject.layout.n_filters):
        change = loss({group: np.arange(subject.layout.n_filters) != channel}) - whole
        predicted = -np.concatenate([part[group][:, channel] for part in gate_gradients(subject)])
        np.testing.assert_allclose(change, predicted, rtol=0.05, atol=1e-4)
        assert np.abs(predicted).max() > 1e-3 or np.abs(change).max() < 1e-4


def test_a_layer_that_does_nothing_has_no_importance():
    subject = subject_of("plain")
    arrays = arrays_of(subject.model.network)
    arrays["conv1_2.convolution.kernel"][:] = 0
    arrays["conv1_2.convolution.bias"][:] = -1
    set_arrays(subject.model.network, arrays)
    assert (subject.layout.split(taylor(subject))["conv1_2"] == 0).all()


def test_a_network_that_is_not_finite_is_refused():
    subject = subject_of("plain")
    arrays = arrays_of(subject.model.network)
    arrays["conv1_2.convolution.bias"][0] = np.nan
    set_arrays(subject.model.network, arrays)
    with pytest.raises(ImportanceError, match="not finite"):
        taylor(subject)

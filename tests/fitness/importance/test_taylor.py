import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fitness.importance.contract import ImportanceError
from fitness.importance.taylor import gate_gradients, taylor, taylor_squared
from models.axes import Axis
from tests.fitness.importance.by_hand import losses
from tests.fitness.importance.subjects import KINDS, change_arrays, subject_of


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
    (found,) = gate_gradients(subject)
    by_filter = np.concatenate([found[name] for name in subject.layout.names], axis=1)
    np.testing.assert_allclose(by_filter, expected, rtol=1e-4, atol=2e-6)

    np.testing.assert_allclose(taylor_squared(subject), np.square(expected).sum(axis=0), rtol=1e-4, atol=1e-6)
    means = subject.layout.split(np.abs(expected).mean(axis=0))
    by_layer = np.concatenate([part / np.sqrt(np.sum(part**2)) for part in means.values()])
    np.testing.assert_allclose(taylor(subject), by_layer, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kind", "group"), [("plain", "conv2_1"), ("residual", "inner1")])
def test_removing_a_filter_of_small_weights_by_a_mask_changes_the_loss_as_predicted(kind, group):
    subject = subject_of(kind, [group])

    def shrink_outgoing(arrays):
        for stage in subject.model.network.stages:
            for path, spec in stage.specs().items():
                if any(isinstance(axis, Axis) and axis.group == group for axis in spec.axes[:-1]):
                    arrays[f"{stage.name}.{path}"] *= 1e-3

    subject = change_arrays(subject, shrink_outgoing)
    inputs = subject.model.normalisation(jnp.asarray(subject.images))

    @jax.jit
    def loss(keeps):
        network = subject.model.network
        return optax.softmax_cross_entropy_with_integer_labels(network(inputs, keeps), subject.labels)

    predicted = -np.concatenate([part[group] for part in gate_gradients(subject)])
    whole = loss({group: subject.layout.full()})
    changes = np.stack([loss({group: keep}) - whole for keep in ~np.eye(subject.layout.n_filters, dtype=bool)])
    assert np.count_nonzero(np.abs(predicted) > 1e-5) > predicted.size / 2
    np.testing.assert_allclose(changes.T, predicted, rtol=0.02, atol=2e-6)


def test_a_layer_that_does_nothing_has_no_importance():
    def silence_layer(arrays):
        arrays["conv1_2.convolution.kernel"][:] = 0
        arrays["conv1_2.convolution.bias"][:] = -1

    subject = change_arrays(subject_of("plain"), silence_layer)
    assert (subject.layout.split(taylor(subject))["conv1_2"] == 0).all()


def test_a_network_that_is_not_finite_is_refused():
    subject = change_arrays(subject_of("plain"), lambda arrays: arrays["fc1.dense.bias"].fill(np.nan))
    with pytest.raises(ImportanceError, match="not finite"):
        taylor(subject)

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fitness.importance.contract import ImportanceError
from fitness.importance.oracle import oracle
from tests.fitness.importance.subjects import KINDS, change_arrays, subject_of


@pytest.mark.parametrize("kind", KINDS)
def test_the_oracle_equals_masks_tried_one_by_one(kind):
    subject = subject_of(kind, images=60)
    inputs = subject.model.normalisation(jnp.asarray(subject.images))

    @jax.jit
    def logits(keeps):
        return subject.model.network(inputs, keeps)

    def correct(mask):
        return np.count_nonzero(np.argmax(logits(subject.layout.split(mask)), axis=-1) == subject.labels)

    whole = subject.layout.full()
    expected = [correct(whole) - correct(whole ^ lost) for lost in np.eye(len(whole), dtype=bool)]
    assert len(set(expected)) > 3
    assert oracle(subject).tolist() == expected


def test_a_network_that_is_not_finite_is_refused():
    subject = change_arrays(subject_of("plain"), lambda arrays: arrays["fc1.dense.bias"].fill(np.nan))
    with pytest.raises(ImportanceError, match="NaN or infinity"):
        oracle(subject)

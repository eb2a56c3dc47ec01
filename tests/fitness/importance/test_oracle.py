import jax.numpy as jnp
import numpy as np
import pytest

from fitness.importance.errors import ImportanceError
from fitness.importance.oracle import oracle
from models.state import arrays_of, set_arrays
from tests.fitness.importance.subjects import KINDS, subject_of


@pytest.mark.parametrize("kind", KINDS)
def test_the_oracle_equals_masks_tried_one_by_one(kind):
    subject = subject_of(kind, images=60)
    inputs = subject.model.normalisation(jnp.asarray(subject.images))

    def correct(mask):
        logits = np.asarray(subject.model.network(inputs, subject.layout.split(mask)))
        return np.count_nonzero(np.argmax(logits, axis=-1) == subject.labels)

    whole = subject.layout.full()
    expected = [correct(whole) - correct(whole ^ lost) for lost in np.eye(len(whole), dtype=bool)]
    assert len(set(expected)) > 3
    assert oracle(subject).tolist() == expected


def test_a_network_that_is_not_finite_is_refused():
    subject = subject_of("plain")
    arrays = arrays_of(subject.model.network)
    arrays["fc1.dense.bias"][0] = np.nan
    set_arrays(subject.model.network, arrays)
    with pytest.raises(ImportanceError, match="NaN or infinity"):
        oracle(subject)

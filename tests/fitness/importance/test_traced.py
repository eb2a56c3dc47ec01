"""Rankings of imported networks are those of the same network of ours."""

import numpy as np
import pytest

from fitness.genome import Genome
from fitness.importance import IMPORTANCES, Subject
from tests.models.support.imported_pairs import KINDS, images, pair


@pytest.mark.parametrize("kind", KINDS)
def test_an_imported_network_is_ranked_as_ours(kind, tmp_path):
    pytest.importorskip("onnx")
    ours, imported, names = pair(kind, tmp_path)
    labels = np.zeros(60, np.int32)
    # Our export folds batch norm into the kernels, which these look at.
    by_kernels = ("reconstruction", "magnitude", "magnitude-l2-raw", "fpgm") if kind == "vgg" else ()
    for method in ("cosine", "hrank", *by_kernels):
        found = []
        for model in (ours, imported):
            layout = Genome.of(model.network, "all").layout
            found.append(layout.split(IMPORTANCES[method](Subject(model, layout, images(), labels))))
        for group, same in names.items():
            np.testing.assert_allclose(found[1][same], found[0][group], rtol=1e-3, atol=2e-6)

"""What one process with one device answers about shards of the images: the far end of an evaluator."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from engine.layout import Layout
from fitness import compilation_cache
from fitness.batches import Batches
from fitness.counting import MaskedCounter, Placed
from fitness.precision import DTYPES
from models.compensation.compensation import Compensation
from models.dependency import factories
from models.normalisation import Normalisation
from models.registry import architecture_from_json
from models.stages import Network
from models.state import arrays_of, set_arrays

if TYPE_CHECKING:
    # Reading and writing model directories needs a package that workers do without.
    from models.store import Model


class Request(NamedTuple):
    """A question about a shard.

    ``kind``, and the answer for ``n`` masks and a shard of ``s`` images (rows of padding included):

    * ``count``: ``int64[2, n]``, correct images, and images with a logit that is not finite;
    * ``predict``: ``int32[s]``, predicted classes under the one mask;
    * ``margins``: ``float32[s]``, how far the right logit is above all others, under the one mask;
    * ``compare``: ``int64[3]``, under the one mask: images that this precision gets right, that float32
      gets right, and that the two answer differently.

    ``packed``: ``uint8[n, bytes]``, the masks.
    """

    kind: Literal["count", "predict", "margins", "compare"]
    packed: np.ndarray


class ShardWorker:
    """Keeps on the device each shard that it ever counted. Callable as an :data:`engine.worker.ShardFunction`."""

    def __init__(self, make_counter: Callable[[str], MaskedCounter], precision: str):
        """``make_counter`` gives a counter of a precision."""
        self._make_counter = make_counter
        self.counter = make_counter(precision)
        self._reference: MaskedCounter | None = None
        self._placed: dict[int, Placed] = {}

    def __call__(self, index: int, shard: Batches, request: Request) -> np.ndarray:
        """Answer a request; ``index`` names the shard from the first ``count`` on."""
        counter = self.counter
        masks = counter.layout.unpack(request.packed)
        if request.kind == "count":
            # Shards are compared one after the other, before anything is counted.
            self._reference = None
            if index not in self._placed:
                self._placed[index] = counter.place(shard)
            return counter.count(self._placed[index], masks)
        if request.kind == "predict":
            return counter.predict(counter.place(shard), masks[0])
        if request.kind == "margins":
            return counter.margins(counter.place(shard), masks[0])
        return self._compare(shard, masks[0])

    def _compare(self, shard: Batches, mask: np.ndarray) -> np.ndarray:
        if self._reference is None:
            self._reference = self._make_counter("float32")
        labels = shard.labels.ravel()
        here, reference = (
            counter.predict(counter.place(shard), mask) for counter in (self.counter, self._reference)
        )
        real = labels >= 0
        return np.array(
            [np.sum(here == labels), np.sum(reference == labels), np.sum(real & (here != reference))], np.int64
        )


def local_worker(
    model: "Model", layout: Layout, precision: str, compensation: Compensation | None = None
) -> ShardWorker:
    """A worker in this process."""
    return _worker(model.network, model.normalisation, layout, precision, compensation)


def blueprint(
    model: "Model", layout: Layout, precision: str, compensation: Compensation | None = None
) -> dict[str, Any]:
    """What :func:`from_blueprint` needs, as plain arrays and JSON: nothing of Flax has to be pickled."""
    return {
        "architecture": model.network.architecture.to_json(),
        "arrays": arrays_of(model.network),
        "normalisation": model.normalisation.to_json(),
        "layout": (layout.names, layout.sizes),
        "precision": precision,
        "compensation": None if compensation is None else (compensation.method, dict(compensation.products)),
        "factories": factories.needed_for(model.network.architecture.name),
    }


def from_blueprint(entry: Mapping[str, Any]) -> ShardWorker:
    """A worker in another process."""
    compilation_cache.enable()
    for name in entry["factories"]:
        factories.load(name)
    network = architecture_from_json(entry["architecture"]).blank()
    set_arrays(network, entry["arrays"])
    normalisation = Normalisation.from_json(entry["normalisation"])
    parts = entry["compensation"]
    compensation = None if parts is None else Compensation(*parts)
    return _worker(network, normalisation, Layout(*entry["layout"]), entry["precision"], compensation)


def _worker(
    network: Network,
    normalisation: Normalisation,
    layout: Layout,
    precision: str,
    compensation: Compensation | None,
) -> ShardWorker:
    def counter(name: str) -> MaskedCounter:
        return MaskedCounter(network, normalisation, layout, precision=DTYPES[name], compensation=compensation)

    return ShardWorker(counter, precision)

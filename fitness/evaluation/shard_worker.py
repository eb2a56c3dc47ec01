"""The worker end of an evaluator: one process with one device answers requests about shards of the images."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np

from engine.cluster.tasks.calls import Ran, Task
from engine.layout import Layout
from fitness.evaluation import compilation_cache
from fitness.evaluation.counting import MaskedCounter, Placed
from fitness.evaluation.division import Batches
from fitness.evaluation.precision import DTYPES
from models.arrays import arrays_of, set_arrays
from models.compensation.method import Compensation
from models.compensation.recalibration import Calibration
from models.contract import Matching, Network
from models.networks.registry import architecture_from_json
from models.normalisation import Normalisation
from models.tracing import factories

if TYPE_CHECKING:
    # Model directories need a package that workers do not have.
    from models.model_directory import Model


class Request(NamedTuple):
    """A question about a shard.

    ``kind``, and the answer for ``n`` masks and a shard of ``s`` images (rows of padding included):

    * ``count``: ``int64[2, n]``, correct images, and images with a logit that is not finite;
    * ``predict``: ``int32[s]``, predicted classes under the one mask; -1 for NaN or infinity;
    * ``margins``: ``float32[s]``, the right logit minus the highest other logit, under the one mask;
    * ``compare``: ``int64[3]``, under the one mask: correct images in this precision, correct images in float32,
      and images with different answers.

    ``packed``: ``uint8[n, bytes]``, the masks.
    """

    kind: Literal["count", "predict", "margins", "compare"]
    packed: np.ndarray


class Runner(Protocol):
    """Answers requests about shards."""

    def load(self, shards: Sequence[Batches]) -> None:
        """Replace the shards. They are numbered from 0."""
        ...

    def run(
        self,
        requests: Sequence[Request],
        tasks: Sequence[Task],
        *,
        carried: Sequence[int] = (),
        ahead: Sequence[Task] = (),
    ) -> Ran:
        """The answer to each task.

        Args:
            requests: see :class:`Request`.
            tasks: their messages are the requests, and their work is masks times images.
            carried: numbers of tasks that the last run began ahead, and that are needed.
            ahead: tasks that the next run will probably need.
        """
        ...


class ShardWorker:
    """An :data:`engine.cluster.worker.ShardFunction`. Keeps every shard that it has counted on the device."""

    def __init__(self, make_counter: Callable[[str], MaskedCounter], precision: str):
        """``make_counter``: precision -> counter."""
        self._make_counter = make_counter
        self.counter = make_counter(precision)
        self._reference: MaskedCounter | None = None
        self._placed: dict[int, Placed] = {}

    def __call__(self, index: int, shard: Batches, request: Request) -> np.ndarray:
        """Answer a request. After its first ``count``, a shard is found by ``index``."""
        counter = self.counter
        masks = counter.layout.unpack(request.packed)
        if request.kind == "count":
            # All comparisons come before the first count, so the float32 network is no longer needed.
            self._reference = None
            if index not in self._placed:
                self._placed[index] = counter.place(shard)
            return counter.count(self._placed[index], masks, index)
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
        found = [real & (here == labels), real & (reference == labels), real & (here != reference)]
        return np.array([np.sum(each) for each in found], np.int64)


def local_worker(
    model: "Model",
    layout: Layout,
    precision: str,
    compensation: Compensation | None = None,
    kept_bytes: int = 0,
) -> ShardWorker:
    """A worker in this process."""
    return _worker(model.network, model.normalisation, layout, precision, compensation, kept_bytes)


def blueprint(
    model: "Model",
    layout: Layout,
    precision: str,
    compensation: Compensation | None = None,
    kept_bytes: int = 0,
) -> dict[str, Any]:
    """The argument of :func:`from_blueprint`: plain arrays and JSON, so that no Flax object is pickled."""
    return {
        "architecture": model.network.architecture.to_json(),
        "arrays": arrays_of(model.network),
        "normalisation": model.normalisation.to_json(),
        "layout": (layout.names, layout.sizes),
        "precision": precision,
        "kept_bytes": kept_bytes,
        "compensation": None if compensation is None else _parts_of(compensation),
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
    compensation = None if parts is None else _compensation(normalisation, *parts)
    layout = Layout(*entry["layout"])
    return _worker(network, normalisation, layout, entry["precision"], compensation, entry["kept_bytes"])


def _parts_of(compensation: Compensation) -> tuple[str, dict[str, np.ndarray], tuple[Any, ...] | None]:
    """Method, moments, and calibration images with the matchings of the norms."""
    calibration = compensation.calibration
    if calibration is None:
        return compensation.method, dict(compensation.products), None
    matchings = {path: (each.scale, each.least, each.shift) for path, each in calibration.matchings.items()}
    return compensation.method, dict(compensation.products), (calibration.images, matchings)


def _compensation(
    normalisation: Normalisation, method: str, products: dict[str, np.ndarray], parts: tuple[Any, ...] | None
) -> Compensation:
    """Inverse of :func:`_parts_of`."""
    if parts is None:
        return Compensation(method, products)
    images, matchings = parts
    found = {path: Matching(*arrays) for path, arrays in matchings.items()}
    return Compensation(method, products, Calibration(images, normalisation, found))


def _worker(
    network: Network,
    normalisation: Normalisation,
    layout: Layout,
    precision: str,
    compensation: Compensation | None,
    kept_bytes: int,
) -> ShardWorker:
    def counter(name: str) -> MaskedCounter:
        chosen: dict[str, Any] = {"compensation": compensation, "kept_bytes": kept_bytes}
        return MaskedCounter(network, normalisation, layout, precision=DTYPES[name], **chosen)

    return ShardWorker(counter, precision)

"""One network, stage by stage: which weights and which program a mask needs at each stage."""

import copy
import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import jax
import numpy as np

from engine.layout import Layout
from fitness.evaluation import programs
from fitness.evaluation.compaction import Compaction
from fitness.evaluation.folds import Fold, Folds, Key
from fitness.evaluation.narrowing import StageArrays
from fitness.evaluation.structures import structure_of
from fitness.evaluation.tree.prefix_tree import branching
from models.compensation.method import Compensation
from models.compensation.recalibration import reached
from models.contract import DType, Keeps, Network, Norm
from models.lowering.choice import target
from models.normalisation import Normalisation

Statistics = Mapping[str, jax.Array]
"""Path of a mean or variance -> ``float32[width]``."""

STORED: Statistics = {}
"""No statistics are replaced: the network uses its own."""


class Variant(NamedTuple):
    """How a run of a stage differs from a run of the whole stage.

    Attributes:
        indices: group -> kept channels ``int32[width]``, for groups that are computed at a smaller width.
        keeps: group -> slice ``bool[c]``, for groups that are computed whole.
        folds: the compensation that is added to kernels and biases.
    """

    indices: dict[str, np.ndarray]
    keeps: dict[str, np.ndarray]
    folds: dict[Key, Fold]


class MaskedStages:
    """A network on the default device. Its programs are in :mod:`fitness.evaluation.programs`.

    Attributes:
        chain: the stages that some mask can change. The last one runs together with all stages that follow.
    """

    def __init__(
        self,
        network: Network,
        normalisation: Normalisation,
        layout: Layout,
        compaction: Compaction,
        precision: DType,
        compensation: Compensation | None = None,
    ):
        stages = list(network.stages)
        changing = branching(layout, stages)
        if compensation is not None and compensation.calibration is not None:
            changing = max([changing, *(number for number, stage in enumerate(stages, 1) if stage.norms())])
        self.chain = stages[:changing]
        self._layout = layout
        self._compaction = compaction
        self._precision = precision
        self._folds = Folds(compensation, compaction)
        self._structures = [structure_of(stage) for stage in stages]
        calibration = None if compensation is None else compensation.calibration
        sizes = {group.name: group.size for group in network.filter_groups}
        self._arrays = [
            StageArrays(stage, sizes, {} if calibration is None else calibration.within(stage))
            for stage in stages
        ]
        self._normalisations: list[Normalisation | None] = [normalisation, *[None] * (len(stages) - 1)]
        self._call: programs.Call = programs.call
        self._whole: dict[int, Any] = {}

    def outlined(self, call: programs.Call) -> Self:
        """The same stages with shapes in place of all results, for a ``call`` that runs no program."""
        outlined = copy.copy(self)
        outlined._call, outlined._folds, outlined._whole = call, self._folds.outlined(), {}
        return outlined

    def variant(self, number: int, mask: np.ndarray) -> Variant:
        """How the mask ``bool[f]`` changes stage ``number``."""
        stage = self.chain[number]
        slices = self._layout.split(mask)
        variant = Variant({}, {}, self._folds.of(stage, slices))
        for name in (stage.reads, *stage.groups, stage.writes):
            if name is None or name not in slices:
                continue
            indices = self._compaction.indices(slices[name])
            if indices is not None:
                variant.indices[name] = indices
            elif name == stage.reads or name in stage.groups:
                variant.keeps[name] = slices[name]
        return variant

    def measured(self, mask: np.ndarray) -> list[tuple[Norm, ...]]:
        """The batch norms of each stage that the mask ``bool[f]`` reaches."""
        removed = {name for name, keep in self._layout.split(mask).items() if not keep.all()}
        return reached(self.chain, removed)

    def prefixes(self, mask: np.ndarray) -> list[bytes]:
        """For each stage a key, the same for all masks that share the run of the stage."""
        slices, seen, keys = self._layout.split(mask), hashlib.sha256(), []
        for number, stage in enumerate(self.chain):
            for name in (stage.reads, *stage.groups):
                if name in slices:
                    seen.update(slices[name].tobytes())
            own = seen.copy()
            if stage.writes in slices and self._compaction.indices(slices[stage.writes]) is not None:
                # The run depends on what it writes only where it is compacted.
                own.update(slices[stage.writes].tobytes())
                seen = own
            # A stage that depends on no mask would have the key of the stage before.
            keys.append(own.digest() + number.to_bytes(4))
        return keys

    def calibrate(
        self, number: int, variant: Variant, measured: tuple[Norm, ...], carry: jax.Array
    ) -> tuple[Statistics, jax.Array]:
        """See :func:`fitness.evaluation.programs.calibrate`."""
        programs.make_room()
        fixed = self._structures[number], target(), self._precision, self._normalisations[number], measured
        arrays = self._arrays[number].at(variant.indices, variant.folds, self._call)
        matchings = self._arrays[number].matchings_at(variant.indices)
        return self._call(programs.calibrate, *fixed, arrays, carry, variant.keeps, matchings)

    def weights(self, number: int, variant: Variant, statistics: Statistics = STORED) -> Any:
        """The prepared weights of stage ``number``. Those of the whole stage are kept for the next call.

        ``statistics`` take the place of arrays of the stage.
        """
        programs.make_room()
        if variant.indices or variant.folds or statistics:
            return self._prepared(number, variant, statistics)
        if number not in self._whole:
            self._whole[number] = self._prepared(number, variant, statistics)
        return self._whole[number]

    def run(self, number: int, weights: Any, carry: jax.Array, keeps: Keeps) -> jax.Array:
        """The carry behind stage ``number``, which is not the last of the chain."""
        normalisation = self._normalisations[number]
        return self._call(programs.run, self._structures[number], target(), normalisation, weights, carry, keeps)

    def count(self, weights: Any, carry: jax.Array, keeps: Keeps, labels: jax.Array) -> jax.Array:
        """See :func:`fitness.evaluation.programs.count`; ``weights`` are those of the last stage of the chain."""
        return self._call(programs.count, *self._tail(weights), carry, keeps, labels)

    def predict(self, weights: Any, carry: jax.Array, keeps: Keeps, labels: jax.Array) -> jax.Array:
        """See :func:`fitness.evaluation.programs.predict`; ``labels`` are not looked at."""
        return self._call(programs.predict, *self._tail(weights), carry, keeps)

    def margins(self, weights: Any, carry: jax.Array, keeps: Keeps, labels: jax.Array) -> jax.Array:
        """See :func:`fitness.evaluation.programs.margins`."""
        return self._call(programs.margins, *self._tail(weights), carry, keeps, labels)

    def _prepared(self, number: int, variant: Variant, statistics: Statistics) -> Any:
        arrays = self._arrays[number].at(variant.indices, variant.folds, self._call)
        fixed = self._structures[number], target(), self._precision
        return self._call(programs.prepare, *fixed, {**arrays, **statistics})

    def _tail(self, weights: Any) -> tuple[programs.Tail, str, Normalisation | None, list[Any]]:
        last = len(self.chain) - 1
        unchanged = [
            self.weights(number, Variant({}, {}, {})) for number in range(last + 1, len(self._structures))
        ]
        tail = tuple(self._structures[last:])
        return tail, target(), self._normalisations[last], [weights, *unchanged]

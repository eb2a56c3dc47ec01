"""The gain of a reader's sum, found by changing its kernel."""

import numpy as np

from models.arrays import put_stage_arrays, stage_arrays
from models.axes import rows
from models.compensation.patches import patches_at, places


def assert_gains(network, carry, keeps):
    """Change each kernel, and compare how the sums grow with what the kernel reads times the change."""
    rng = np.random.default_rng(0)
    sizes = {group.name: group.size for group in network.filter_groups}
    removed = {name: np.flatnonzero(keep) for name, keep in keeps.items()}
    for stage in network.stages:
        for reader in {reader.kernel: reader for reader in stage.readers()}.values():
            arrays = stage_arrays(stage)
            before = np.asarray(stage.sums(carry, keeps)[reader.kernel])
            read = np.array(stage.observe(carry, keeps)[reader.kernel])
            read[..., np.setdiff1d(np.arange(read.shape[-1]), rows(reader.rows, sizes, removed))] = 0
            kernel = reader.layout.rows(arrays[reader.kernel], sizes)
            change = rng.normal(size=kernel.shape).astype(np.float32)
            changed = reader.layout.stored(kernel + change, sizes)
            put_stage_arrays(stage, {**arrays, reader.kernel: changed})
            grown = np.asarray(stage.sums(carry, keeps)[reader.kernel]) - before
            put_stage_arrays(stage, arrays)
            every = places(read.shape, reader.sliding, 10_000, rng)
            expected = patches_at(read, reader.sliding, every) @ change.reshape(-1, change.shape[-1])
            expected = expected * np.asarray(reader.sum.gain(arrays, sizes))
            scale = np.abs(before).max() + np.abs(expected).max()
            np.testing.assert_allclose(grown.reshape(expected.shape), expected, atol=1e-4 * scale)
        carry = stage(carry, keeps)

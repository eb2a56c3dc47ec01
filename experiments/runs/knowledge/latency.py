"""Latency of a run: a table of the network's layers, timed once on the driver's device."""

import json

from experiments.progress import Reporter
from experiments.runs.knowledge.artifacts import Artifact
from experiments.runs.options import SearchOptions
from experiments.runs.problem import Problem
from fitness.genome import Genome
from models.latency.measuring import measure
from models.latency.table import LatencyTable

LATENCY = "latency"
"""The objective that needs the table."""


class LatencyArtifact(Artifact[LatencyTable]):
    """The table by which a search for low latency scores its masks."""

    entry = "latency_digest"
    file = "latency.json"
    purpose = "masks cannot be scored as before without this file"

    def needed(self, options: SearchOptions) -> bool:
        """See :class:`Artifact`."""
        return options.objective == LATENCY

    def compute(self, problem: Problem) -> LatencyTable:
        """See :func:`measured`."""
        return measured(problem.genome, problem.options.latency_batch, problem.reporter)

    def encode(self, value: LatencyTable) -> bytes:
        """See :class:`Artifact`."""
        return (json.dumps(value.to_json(), indent=1) + "\n").encode()

    def decode(self, content: bytes, options: SearchOptions) -> LatencyTable:
        """See :class:`Artifact`."""
        return LatencyTable.from_json(json.loads(content))

    def digest(self, value: LatencyTable) -> str:
        """See :class:`Artifact`."""
        return value.digest()

    def misfit(self, value: LatencyTable, problem: Problem) -> str | None:
        """See :class:`Artifact`."""
        sizes = dict(zip(problem.genome.layout.names, problem.genome.layout.sizes, strict=True))
        for stage in value.stages:
            for group, widths in zip(stage.groups, stage.widths, strict=True):
                if widths[-1] != sizes.get(group):
                    found = f"{widths[-1]} filters of {group!r}"
                    return f"{stage.stage!r} was timed with {found}, not {sizes.get(group)}"
        return None


def measured(genome: Genome, batch: int, reporter: Reporter) -> LatencyTable:
    """Time the layers of the genome's network, ``batch`` images at a time.

    Raises:
        LatencyError: the network's layers cannot be timed one by one.
    """
    reporter.message(f"Timing the layers at several widths, {batch} images at a time.")
    table = measure(genome.network, genome.layout.names, batch)
    whole = float(table({}, 1)[0])
    reporter.message(f"The layers of the unpruned network take {whole:.3f} ms on {table.device}.")
    return table

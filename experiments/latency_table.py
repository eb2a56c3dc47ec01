"""The latency table of a run: measured once on the driver's device, kept in the run directory ever after."""

import json
from typing import Any

from engine.errors import RunError
from engine.run_directory import RunDirectory
from experiments.progress import Reporter
from fitness.genome import Genome
from models.latency.measuring import measure
from models.latency.table import LatencyTable

LATENCY = "latency"
NAME = "latency.json"


def measured(genome: Genome, objective: str, batch: int, reporter: Reporter) -> LatencyTable | None:
    """The table for the genome's filters; None for an ``--objective`` that needs none.

    Raises:
        LatencyError: the network's layers cannot be timed one by one.
    """
    if objective != LATENCY:
        return None
    reporter.message(f"Timing the layers at several widths, {batch} images at a time.")
    table = measure(genome.network, genome.layout.names, batch)
    whole = float(table({}, 1)[0])
    reporter.message(f"The layers of the unpruned network take {whole:.3f} ms on {table.device}.")
    return table


def write(run: RunDirectory, table: LatencyTable | None) -> None:
    """Keep the table in the run directory."""
    if table is not None:
        run.store.write(NAME, (json.dumps(table.to_json(), indent=1) + "\n").encode())


def read(run: RunDirectory, objective: str) -> LatencyTable | None:
    """The table of a run that was begun with this ``--objective``.

    Raises:
        RunError: its file is missing or is not the one that the run began with.
    """
    if objective != LATENCY:
        return None
    where = run.store.full_name(NAME)
    try:
        table = LatencyTable.from_json(json.loads(run.store.read(NAME)))
    except FileNotFoundError:
        raise RunError(
            f"{where} is missing, and without it masks cannot be scored as before; restore it."
        ) from None
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise RunError(f"{where} is damaged ({error}); restore it.") from error
    if table.digest() != run.description().get("latency_digest"):
        raise RunError(f"{where} is not the one that the run began with; restore it.")
    return table


def digest(table: LatencyTable | None) -> dict[str, Any]:
    """The entry of ``run.json`` by which :func:`read` knows the table."""
    return {} if table is None else {"latency_digest": table.digest()}

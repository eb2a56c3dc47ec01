"""Simulates the utilisation of clusters, with the real dispatcher in virtual time.

Command: ``python -m experiments.benchmarks.cluster.dispatch_simulation``; a few minutes, no Ray, no network.
Each row is one search of a few generations on one cluster: what share of the workers' time went into answers,
and what the rest was lost to. The defaults are measured: ``pool_scale`` prints what a task costs the driver,
``engine_overhead`` what lies between two generations.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np

from experiments.benchmarks.cluster.simulated_cluster import Cluster, SimulatedPool
from experiments.markdown import table
from fitness.evaluation.division import block_count, shard_count

WORKERS = (32, 1_000, 10_000)
OFFSPRING = (20, 200, 2_000)


@dataclass(frozen=True)
class Search:
    """``images_per_second``: masks x images that a worker of mean speed evaluates in a second. ``stopped``: share
    of the masks that each round but the last stops. ``ahead``: whether workers begin the next round ahead, for
    all masks of the round before."""

    offspring: int
    images: int
    batch: int
    rounds: int
    images_per_second: float
    between: float
    islands: int = 1
    stopped: float = 0.0
    ahead: bool = True


@dataclass(frozen=True)
class Outcome:
    """A row of the table. ``generation``: mean seconds; ``driver``: share of them that the driver worked;
    ``shortest``: seconds of one task at mean speed."""

    workers: int
    offspring: int
    islands: int
    tasks: int
    shortest: float
    generation: float
    utilisation: float
    driver: float
    replaced: int
    limit: str


class RoundPlan:
    """The tasks of a generation, cut as :class:`fitness.evaluation.pipeline.Pipeline` cuts them.

    Attributes:
        tasks: of the last generation.
        shortest: seconds of its shortest task.
    """

    def __init__(self, search: Search, workers: int):
        self._search = search
        self._workers = workers
        parts = np.array_split(np.arange(-(-search.images // search.batch)), search.rounds)
        counts = [shard_count(len(part), workers) for part in parts]
        first = np.concatenate([[0], np.cumsum(counts)])
        self._shards = [range(first[number], first[number + 1]) for number in range(len(parts))]
        self._images = [len(part) * search.batch / count for part, count in zip(parts, counts, strict=True)]
        self.tasks = 0
        self.shortest = float("inf")

    def run(self, pool: SimulatedPool) -> None:
        """One generation."""
        self.tasks, self.shortest = 0, float("inf")
        masks = float(self._search.offspring * self._search.islands)
        begun: dict[int, tuple[int, float]] = {}
        for number in range(len(self._shards)):
            going = 1.0 - self._search.stopped if number else 1.0
            counted: defaultdict[int, float] = defaultdict(float)
            for shard, share in begun.values():
                counted[shard] += share
            masks *= going
            new = self._cut(number, {shard: masks * (1 - counted[shard]) for shard in self._shards[number]})
            later = []
            if self._search.ahead and number + 1 < len(self._shards):
                later = self._cut(number + 1, dict.fromkeys(self._shards[number + 1], masks))
            self.tasks += len(new) + len(begun)
            everything = [*new, *later]
            found = pool.run(
                [shard for shard, _, _ in everything],
                [seconds for _, seconds, _ in everything],
                carried=dict.fromkeys(begun, going),
                ahead=len(later),
            )
            waits = pool.dispatcher.first_ahead
            begun = {task: (later[task - waits][0], later[task - waits][2]) for task in found}

    def _cut(self, number: int, masks: Mapping[int, float]) -> list[tuple[int, float, float]]:
        """Shard, seconds, and share of the shard's masks of each task."""
        found = []
        for shard, rest in masks.items():
            if rest >= 1:
                blocks = block_count(int(rest), len(masks), self._workers)
                seconds = rest / blocks * self._images[number] / self._search.images_per_second
                self.shortest = min(self.shortest, seconds)
                found += [(shard, seconds, 1 / blocks)] * blocks
        return found


def simulate(cluster: Cluster, search: Search, generations: int, seed: int = 0) -> Outcome:
    """Some generations of a search, after one that is not counted."""
    pool = SimulatedPool(cluster, seed)
    plan = RoundPlan(search, cluster.workers)
    for generation in range(generations + 1):
        if generation == 1:
            pool.begin_account()
        plan.run(pool)
        pool.idle(search.between)
    account = pool.account
    tasks = plan.tasks
    lost_between = search.between * generations / account.wall
    return Outcome(
        workers=cluster.workers,
        offspring=search.offspring,
        islands=search.islands,
        tasks=tasks,
        shortest=plan.shortest,
        generation=account.wall / generations,
        utilisation=account.utilisation,
        driver=min(account.driver / account.wall, 1.0),
        replaced=pool.dispatcher.crew.replaced,
        limit=_limit(account.utilisation, account.driver / account.wall, lost_between, tasks, cluster.workers),
    )


def _limit(utilisation: float, driver: float, between: float, tasks: int, workers: int) -> str:
    """What most of the lost time was lost to."""
    if utilisation >= 0.95:
        return "-"
    if driver > 0.8:
        return "the driver: tasks end faster than it hands them out"
    if between > (1 - utilisation) / 2:
        return "the time between generations"
    if tasks < 2 * workers:
        return "too few tasks for the workers"
    return "the last tasks of each round"


@click.command()
@click.option("--workers", multiple=True, type=int, default=WORKERS, show_default=True)
@click.option("--offspring", multiple=True, type=int, default=OFFSPRING, show_default=True)
@click.option("--islands", multiple=True, type=int, default=(1, 16), show_default=True)
@click.option("--images", default=50_000, show_default=True)
@click.option("--batch", default=64, show_default=True, help="Images of a batch.")
@click.option("--rounds", default=8, show_default=True, help="Rounds of a generation; 1 without early stopping.")
@click.option("--stopped", default=0.0, show_default=True, help="Share of the masks that each round stops.")
@click.option("--ahead/--no-ahead", default=True, show_default=True, help="Begin the next round ahead.")
@click.option("--images-per-second", default=1_000.0, show_default=True, help="Of a worker, each for one mask.")
@click.option("--between", default=0.03, show_default=True, help="Seconds of the engine between generations.")
@click.option("--driver-per-event", default=Cluster(1).driver_per_event, show_default=True, help="Seconds.")
@click.option("--between-deaths", default=24.0, show_default=True, help="Mean hours of a worker.")
@click.option("--spread", default=0.2, show_default=True, help="Sigma of the logarithm of workers' speeds.")
@click.option("--generations", default=3, show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path), default=Path("bench/dispatch.json"))
def main(
    workers: tuple[int, ...],
    offspring: tuple[int, ...],
    islands: tuple[int, ...],
    images: int,
    batch: int,
    rounds: int,
    stopped: float,
    ahead: bool,
    images_per_second: float,
    between: float,
    driver_per_event: float,
    between_deaths: float,
    spread: float,
    generations: int,
    json_path: Path,
) -> None:
    """Simulate searches on clusters of many workers."""
    outcomes = []
    for size in workers:
        cluster = Cluster(
            size, spread=spread, driver_per_event=driver_per_event, between_deaths=between_deaths * 3600
        )
        for count in offspring:
            for number in islands:
                search = Search(count, images, batch, rounds, images_per_second, between, number, stopped, ahead)
                outcomes.append(simulate(cluster, search, generations))
                click.echo(outcomes[-1], err=True)
    click.echo(as_table(outcomes))
    json_path.parent.mkdir(parents=True, exist_ok=True)
    json_path.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=2) + "\n")


def as_table(outcomes: list[Outcome]) -> str:
    """For people."""
    header = [
        "workers",
        "offspring",
        "islands",
        "tasks",
        "task (s)",
        "generation (s)",
        "used",
        "driver",
        "limit",
    ]
    return table(
        header,
        [
            [
                f"{found.workers:,}",
                f"{found.offspring:,}",
                f"{found.islands}",
                f"{found.tasks:,}",
                f"{found.shortest:.3f}",
                f"{found.generation:.2f}",
                f"{found.utilisation:.0%}",
                f"{found.driver:.0%}",
                found.limit,
            ]
            for found in outcomes
        ],
    )


if __name__ == "__main__":
    main()

"""Everything that a search was asked for, and its form in ``run.json``."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, get_args, get_type_hints

from engine.config import SearchSettings
from engine.errors import OptionError, RunError
from engine.pool_options import PoolOptions
from experiments.compensating import NONE, check_compensation
from experiments.importances import named_methods
from experiments.measuring import DataOptions
from experiments.patience import check_patience
from fitness.evaluator import CPU_BATCH, GPU_BATCH, on_gpu
from fitness.front_objective import check_front, default_limit, named_objectives
from fitness.importance import IMPORTANCES
from fitness.precision import resolved
from fitness.rewards import check_objective
from fitness.seeding import LARGEST_COMPENSATED_REMOVAL, LARGEST_REMOVAL, Ladders


@dataclass(frozen=True)
class SearchOptions:
    """Options of ``evoprune search``; the defaults are the paper's (seed 003, Table 3.1).

    ``patience`` is a number of generations, see :class:`experiments.patience.Patience`.
    ``weight`` and ``offset`` are the paper's lambda and epsilon. ``batch_size`` None picks one for the
    device when the run begins; it is then fixed, because it may decide the last bit of a logit. ``seed_with``
    names the importances, joined by commas, that half of the initial population is from (:mod:`fitness.seeding`)
    and that guided mutations go by; ``floor`` has shares of each layer that stay in seeds, joined by commas, and
    with ``climb`` the whole initial population is found along the importances, near what is feasible.
    ``compensate`` is ``none`` or a key of :data:`models.compensation.coefficients.METHODS`, from at most
    ``compensation_images`` of the training split. ``objective`` is a key of :data:`fitness.rewards.OBJECTIVES`;
    latency is that of ``latency_batch`` images at a time. ``objectives``, joined by commas, are those of a search
    for a front (:mod:`fitness.front_objective`) of masks whose accuracy drop is ``front_limit`` percent at most.

    Raises:
        OptionError: a value out of its range.
    """

    model: str
    data: DataOptions
    generations: int = 100
    threshold: float = 2.0
    weight: float = 0.5
    offset: float = 10.0
    prune: str = "convolutions"
    batch_size: int | None = None
    precision: str = "auto"
    seed_with: str | None = None
    floor: str | None = None
    climb: bool = False
    compensate: str = "none"
    compensation_images: int = 1500
    objective: str = "parameters"
    latency_batch: int = 1
    objectives: str | None = None
    front_limit: float | None = None
    patience: int = 0
    settings: SearchSettings = field(default_factory=SearchSettings)

    def __post_init__(self) -> None:
        if self.generations < 0:
            raise OptionError(f"--generations must be 0 or more, not {self.generations}.")
        check_patience(self.patience)
        if self.batch_size is not None and self.batch_size < 1:
            raise OptionError(f"--batch-size must be 1 or more, not {self.batch_size}.")
        resolved(self.precision, on_gpu=False)
        check_objective(self.objective)
        if self.latency_batch < 1:
            raise OptionError(f"--latency-batch must be 1 or more, not {self.latency_batch}.")
        check_compensation(self.compensate, self.compensation_images)
        if self.seed_with is not None:
            self.ladders.check_places(self.settings.population, len(self.seeds))
        else:
            self._check_no_order_is_needed()
        check_front(self.objectives, self.front_limit, self.threshold, self.settings.race)

    def _check_no_order_is_needed(self) -> None:
        for given, option in (
            (self.floor is not None, f"--floor {self.floor}"),
            (self.climb, "--climb"),
            (self.settings.guided, f"--mutate {self.settings.mutate}"),
        ):
            if given:
                raise OptionError(f"{option} needs importances to go by; name some with --seed-with.")

    @classmethod
    def preset(
        cls, values: Mapping[str, Any], model: str, data: DataOptions, *, seed: int = 0, **others: Any
    ) -> "SearchOptions":
        """With the values of a preset (:mod:`experiments.presets`), over which ``others`` win.

        Raises:
            OptionError: a value out of its range.
        """
        names = {field.name for field in fields(SearchSettings)}
        settings = SearchSettings(**{name: value for name, value in values.items() if name in names}, seed=seed)
        chosen = {name: value for name, value in values.items() if name not in names}
        return cls(model, data, settings=settings, **{**chosen, **others})

    @property
    def aims(self) -> tuple[str, ...]:
        """The objectives of a search for a front, accuracy first; none of a search for BEST alone."""
        return () if self.objectives is None else named_objectives(self.objectives)

    @property
    def limit(self) -> float:
        """``front_limit``, or what it is where none was given."""
        return default_limit(self.threshold) if self.front_limit is None else self.front_limit

    @property
    def seeds(self) -> tuple[str, ...]:
        """The methods that ``seed_with`` names; none without it.

        Raises:
            OptionError: one is unknown or named twice.
        """
        return () if self.seed_with is None else named_methods(self.seed_with, "--seed-with", IMPORTANCES)

    @property
    def ladders(self) -> Ladders:
        """How seeds stand on their importances.

        Raises:
            OptionError: ``floor`` is no list of shares.
        """
        floors: tuple[float, ...] = (0.0,)
        if self.floor is not None:
            try:
                floors = tuple(float(share) for share in self.floor.split(","))
            except ValueError:
                raise OptionError(
                    f"--floor {self.floor!r} is not a list of numbers; write shares of a layer as 0,0.1,0.2."
                ) from None
        largest = LARGEST_REMOVAL if self.compensate == NONE else LARGEST_COMPENSATED_REMOVAL
        return Ladders(floors, self.climb, largest)

    def on(self, backend: "Backend") -> "SearchOptions":
        """The same with all that is left to the device settled, so that resuming elsewhere changes nothing."""
        batch = self.batch_size or (GPU_BATCH if backend.on_gpu() else CPU_BATCH)
        return replace(self, batch_size=batch, precision=resolved(self.precision, backend.on_gpu()))

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which :meth:`from_json` builds equal options."""
        return asdict(self)

    @classmethod
    def from_json(cls, entry: Any) -> "SearchOptions":
        """Inverse of :meth:`to_json`.

        Raises:
            RunError: it was written by another version, or by hand.
        """
        try:
            parts = dict(entry)
            data, settings = dict(parts.pop("data")), dict(parts.pop("settings"))
            for owner, values in ((cls, parts), (DataOptions, data), (SearchSettings, settings)):
                _check_types(owner, values)
            return cls(data=DataOptions(**data), settings=SearchSettings.from_json(settings), **parts)
        except (TypeError, ValueError, KeyError) as error:
            raise RunError(f"the configuration in run.json does not fit this version ({error}).") from error


def _check_types(owner: type, entry: dict[str, Any]) -> None:
    """Raise TypeError unless each value is of its field's type; an int, but no bool, will do for a float."""
    hints = get_type_hints(owner)
    for name, value in entry.items():
        allowed = get_args(hints[name]) or (hints[name],)
        widened = (*allowed, int) if float in allowed else allowed
        if (isinstance(value, bool) and bool not in allowed) or not isinstance(value, widened):
            raise TypeError(f"{name} is {value!r}")


@dataclass(frozen=True)
class Backend:
    """Where masks are evaluated; has no influence on results.

    Raises:
        OptionError: an unknown backend.
    """

    name: str = "local"
    pool: PoolOptions = field(default_factory=PoolOptions)

    def __post_init__(self) -> None:
        if self.name not in ("local", "ray"):
            raise OptionError(f"--backend must be local or ray, not {self.name!r}.")

    @classmethod
    def from_json(cls, entry: Any) -> "Backend":
        """The backend that a run recorded.

        Raises:
            RunError: it was written by another version, or by hand.
            OptionError: it is a cluster elsewhere, which is joined only where the user says so: a cluster
                has its members run code, and a run directory may come from anybody.
        """
        try:
            pool = dict(entry["pool"])
            _check_types(PoolOptions, pool)
            backend = cls(str(entry["name"]), PoolOptions(**pool))
        except (TypeError, KeyError, ValueError) as error:
            raise RunError(f"the backend in run.json does not fit this version ({error}).") from error
        if backend.name == "ray" and backend.pool.address not in (None, "auto"):
            raise OptionError(
                f"the run was on the Ray cluster {backend.pool.address!r}; give --backend ray with the --address "
                "of a cluster that you trust, or --backend local."
            )
        return backend

    def on_gpu(self) -> bool:
        """Whether masks are evaluated on GPUs."""
        return self.pool.gpus_per_worker > 0 if self.name == "ray" else on_gpu()

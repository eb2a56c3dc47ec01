"""Options of a pool: where its Ray workers run, and what each of them gets."""

import re
from dataclasses import dataclass

from engine.errors import OptionError
from engine.options import option

CLIENT_SCHEME = "ray://"
_ADDRESS = re.compile(rf"auto|({CLIENT_SCHEME})?([\w.-]+|\[[\da-fA-F:.]+\]):\d{{1,5}}")


@dataclass(frozen=True)
class PoolOptions:
    """Where the workers run, and what each of them gets.

    Without an ``address`` the pool starts a private Ray on this machine, which ends with the pool. Without a
    ``task_timeout`` the pool goes by the durations of recent tasks (:mod:`engine.cluster.tasks.task_times`).
    Without a ``runtime_env`` the pool sends what :mod:`engine.cluster.shipping` finds missing.

    Raises:
        OptionError: a value is out of its range.
    """

    workers: int = option(2, "Ray workers to use, as many as there is room for.")
    cpus_per_worker: int = option(1, "CPU cores of each worker.")
    gpus_per_worker: float = option(0.0, "GPUs of each worker; a fraction shares a GPU.")
    address: str | None = option(
        None,
        "Ray cluster to join: auto or HOST:PORT on a machine of the cluster, ray://HOST:10001 elsewhere.",
    )
    task_timeout: float | None = option(
        None,
        "Seconds after which a worker that does not answer is replaced; by default a multiple of recent tasks' "
        "durations.",
    )
    runtime_env: str | None = option(
        None,
        "JSON or YAML file with the Ray runtime environment of a cluster's workers. It replaces the environment "
        "that ships this code and installs missing packages.",
        metavar="FILE",
    )

    def __post_init__(self) -> None:
        for name in ("workers", "cpus_per_worker"):
            if getattr(self, name) < 1:
                raise OptionError(f"`{name}` must be 1 or more, not {getattr(self, name)}.")
        gpus = self.gpus_per_worker
        if not 0 <= gpus < float("inf") or (gpus > 1 and gpus != int(gpus)):
            raise OptionError(f"`gpus_per_worker` must be a fraction up to 1 or a whole number, not {gpus}.")
        if self.task_timeout is not None and not self.task_timeout > 0:
            raise OptionError(f"`task_timeout` must be above 0 seconds, not {self.task_timeout:g}.")
        if self.address is not None and not _ADDRESS.fullmatch(self.address):
            raise OptionError(
                f"`address` must be auto, HOST:PORT or {CLIENT_SCHEME}HOST:10001, not {self.address!r}; leave it "
                "out for a Ray of its own on this machine."
            )
        if self.runtime_env is not None and self.address is None:
            raise OptionError("`runtime_env` is for the nodes of a cluster; give its `address` too.")

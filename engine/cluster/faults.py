"""What Ray's exceptions mean, in our own words: Ray's texts are up to a page long and name no option of ours.

Nothing here imports Ray. Classes are known by their names, because some exist in newer versions of Ray alone.
"""

import re
from enum import Enum
from typing import Any, NamedTuple

MOST_CHARACTERS = 300
"""Most characters of a text that comes from Ray or from a library."""


class Kind(Enum):
    """What went wrong with a worker."""

    MEMORY = "memory"
    GONE = "gone"
    OTHER = "other"


class Fault(NamedTuple):
    """A fault of a worker.

    Attributes:
        kind: what went wrong.
        cause: a clause for the user, without a full stop, such as "its node is gone".
        raised: whether the worker's code raised, so that its process is still there.
        gigabytes: memory that the worker held, where that is known.
    """

    kind: Kind
    cause: str
    raised: bool = False
    gigabytes: float | None = None

    @property
    def told(self) -> str:
        """The cause, and what the worker held."""
        return self.cause if self.gigabytes is None else f"{self.cause}; it had {_amount(self.gigabytes)}"


_MEMORY = re.compile(r"RESOURCE_EXHAUSTED|[Oo]ut of memory|bad_alloc|MemoryError|[Cc]annot allocate memory")

_COLOUR = re.compile(r"\x1b\[[\d;]*[A-Za-z]")
_NODE_MEMORY = re.compile(r"\(IP: ([^,)]+).*? was ([\d.]+)\s?GB (?:used )?/ ([\d.]+)\s?GB")
_WORKER_MEMORY = re.compile(r"memory used=([\d.]+)\s?GB")
_KILLED_FOR_MEMORY = "running low on memory"
_GONE = (
    (r"exit code (-?\d+)", "its process ended with exit status {}"),
    (r"node (?:[\w: ]*?)(?:has )?(?:died|been marked dead|terminated)|node failure", "its node is gone"),
    (r"connection error code|SIGKILL|SIGSEGV", "its process was killed or crashed"),
    (r"runtime.?env", "its runtime environment cannot be set up"),
)
_SAID = {
    "LocalRayletDiedError": (Kind.GONE, "Ray's node process (the raylet) on its machine is gone"),
    "NodeDiedError": (Kind.GONE, "its node is gone"),
    "ActorUnavailableError": (Kind.GONE, "its machine does not answer"),
    "OwnerDiedError": (Kind.GONE, "the process that held its data is gone"),
    "ObjectLostError": (Kind.GONE, "its data was lost with a node"),
    "ObjectStoreFullError": (Kind.OTHER, "Ray's object store is full"),
    "OutOfDiskError": (Kind.OTHER, "the disk under Ray's files is full"),
    "ActorUnschedulableError": (Kind.OTHER, "the cluster has no node for it"),
    "TaskUnschedulableError": (Kind.OTHER, "the cluster has no node for it"),
}


def fault_of(error: BaseException) -> Fault:
    """The fault behind an exception of Ray."""
    names = [known.__name__ for known in type(error).__mro__]
    text = str(error)
    if "OutOfMemoryError" in names or _KILLED_FOR_MEMORY in text:
        return _killed_for_memory(text)
    if "RuntimeEnvSetupError" in names:
        return Fault(Kind.OTHER, f"its runtime environment cannot be set up: {gist(text)}")
    if "RayTaskError" in names:
        cause = _raised(error)
        if _MEMORY.search(cause):
            return Fault(Kind.MEMORY, f"memory ran out ({cause})", raised=True)
        return Fault(Kind.OTHER, cause, raised=True)
    for name in names:
        if name in _SAID:
            return Fault(*_SAID[name])
    if "RayActorError" in names or "WorkerCrashedError" in names:
        return Fault(Kind.GONE, _how_it_ended(text))
    return Fault(Kind.OTHER, cause_of(error))


def out_of_memory(fault: Fault, workers: int, gigabytes: float) -> str:
    """The last sentence of a search whose workers run out of memory; ``gigabytes`` of the largest, or 0."""
    each = " each" if workers > 1 else ""
    size = f" of up to {_amount(gigabytes)}{each}" if gigabytes else ""
    number = f"{workers} workers" if workers > 1 else "a single worker"
    fewer = "use fewer `workers`, " if workers > 1 else ""
    return (
        f"{fault.cause}, with {number}{size}; {fewer}give the machine more memory, or begin a search with a "
        "smaller `batch_size`."
    )


def cause_of(error: BaseException) -> str:
    """What an exception of Ray says, as a clause: its last line, which names the exception in the worker."""
    # An error of gRPC prints as a block, and its details are the sentence in it.
    details = getattr(error, "details", None)
    lines = [line for line in str(details() if callable(details) else error).splitlines() if line.strip()]
    return (shortened(lines[-1]) if lines else "") or type(error).__name__


def gist(text: str) -> str:
    """The gist of the tracebacks and logs that Ray gives: pip's errors, or else the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in dict.fromkeys(lines) if line.startswith("ERROR: ")]
    return shortened(" ".join(errors[:2] or lines[-1:]))


def shortened(text: str) -> str:
    """The text in one line without colours, a full stop at its end, or more than :data:`MOST_CHARACTERS`."""
    # What a terminal would obey becomes a space.
    plain = "".join(letter if letter.isprintable() else " " for letter in _COLOUR.sub("", text))
    line = " ".join(plain.split())
    if len(line) > MOST_CHARACTERS:
        line = line[:MOST_CHARACTERS].rsplit(" ", 1)[0] + " ..."
    return line if line.endswith("...") else line.rstrip(". ")


def _killed_for_memory(text: str) -> Fault:
    node, worker = _NODE_MEMORY.search(text), _WORKER_MEMORY.search(text)
    gigabytes = float(worker[1]) if worker else None
    if node is None:
        return Fault(Kind.MEMORY, "memory ran out on its node", gigabytes=gigabytes)
    place = "this machine" if node[1] == "127.0.0.1" else f"node {node[1]}"
    cause = f"memory ran out on {place} ({node[2]} of {node[3]} GB in use)"
    return Fault(Kind.MEMORY, cause, gigabytes=gigabytes)


def _amount(gigabytes: float) -> str:
    return f"{gigabytes:.1f} GB" if gigabytes >= 10 else f"{1000 * gigabytes:,.0f} MB"


def _raised(error: Any) -> str:
    """The exception that the worker's code raised: its type and text."""
    cause = getattr(error, "cause", None)
    if not isinstance(cause, BaseException) or isinstance(cause, type(error)):
        return cause_of(error)
    name, said = type(cause).__name__, shortened(str(cause))
    return f"{name}: {said}" if said else name


def _how_it_ended(text: str) -> str:
    for pattern, clause in _GONE:
        if found := re.search(pattern, text, re.IGNORECASE):
            return clause.format(*found.groups())
    return "its process or its machine is gone"

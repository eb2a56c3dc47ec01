"""Ray's exceptions become short clauses of our own, whatever page Ray writes."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.cluster.faults import MOST_CHARACTERS, Kind, fault_of, gist, out_of_memory, shortened

ray = pytest.importorskip("ray")
exceptions = ray.exceptions

KILLED = """1 worker(s) were killed due to the node running low on memory. Memory on the node (IP: 10.0.0.7, ID: ad67) was \
1.98GB used / 23.54GB limit (0.084277)
Considered workers: [
Selected to kill: (Actor(6b2f): job ID=01000000, required resources={CPU: 1}, pid=12294, actual memory used=0.41GB)
]
Top 10 memory users: PID	MEM(GB)	COMMAND
Refer to the documentation on how to address the out of memory issue: https://docs.ray.io/. Consider provisioning more."""
"""What Ray 2.60 says, in part."""

OLDER = """Task was killed due to the node running low on memory.
Memory on the node (IP: 10.0.0.7, ID: e11f) where the task (actor ID: 5b, name=Worker.__init__, pid=64, memory used=0.41GB) \
was running was 27.67GB / 28.80GB (0.960682), which exceeds the memory usage threshold of 0.95."""

DEAD = """The actor died unexpectedly before finishing this task.
	class_name: Worker
The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: """
CRASHED = DEAD + (
    "Worker unexpectedly exits with a connection error code 2. End of file. Some common causes include: (1) the process "
    "was killed by the OOM killer due to high memory usage, (2) ray stop --force was called, or (3) the worker crashed."
)
NODE = """The actor died unexpectedly before finishing this task.
The actor is dead because its node has died. Node Id: 8a: the actor's node was terminated unexpectedly: health check failed"""


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (
            exceptions.OutOfMemoryError(KILLED),
            Kind.MEMORY,
            "memory ran out on node 10.0.0.7 (1.98 of 23.54 GB in use); it had 410 MB",
        ),
        (
            exceptions.RayActorError(error_msg=KILLED.replace("10.0.0.7", "127.0.0.1")),
            Kind.MEMORY,
            "memory ran out on this machine (1.98 of 23.54 GB in use); it had 410 MB",
        ),
        (
            exceptions.OutOfMemoryError(OLDER),
            Kind.MEMORY,
            "memory ran out on node 10.0.0.7 (27.67 of 28.80 GB in use); it had 410 MB",
        ),
        (exceptions.OutOfMemoryError("in words that nobody knows"), Kind.MEMORY, "memory ran out on its node"),
        (exceptions.ActorDiedError(), Kind.GONE, "its process or its machine is gone"),
        (exceptions.RayActorError(error_msg=CRASHED), Kind.GONE, "its process was killed or crashed"),
        (
            exceptions.RayActorError(error_msg=DEAD + "Worker exits with an exit code 3."),
            Kind.GONE,
            "its process ended with exit status 3",
        ),
        (exceptions.RayActorError(error_msg=NODE), Kind.GONE, "its node is gone"),
        (exceptions.ActorUnavailableError("no", b"1" * 16), Kind.GONE, "its machine does not answer"),
        (exceptions.LocalRayletDiedError(), Kind.GONE, "Ray's node process (the raylet) on its machine is gone"),
        (exceptions.WorkerCrashedError(), Kind.GONE, "its process or its machine is gone"),
        (exceptions.NodeDiedError("page"), Kind.GONE, "its node is gone"),
        (exceptions.ObjectStoreFullError("page"), Kind.OTHER, "Ray's object store is full"),
        (exceptions.OutOfDiskError("page"), Kind.OTHER, "the disk under Ray's files is full"),
        (
            exceptions.RuntimeEnvSetupError("page\nERROR: No matching distribution\n"),
            Kind.OTHER,
            "its runtime environment cannot be set up: ERROR: No matching distribution",
        ),
    ],
)
def test_a_fault_is_told_in_a_clause(error, kind, told):
    fault = fault_of(error)
    assert (fault.kind, fault.told, fault.raised) == (kind, told, False)


@pytest.mark.parametrize(
    ("cause", "kind", "told"),
    [
        (ValueError("a cosmic\nray."), Kind.OTHER, "ValueError: a cosmic ray"),
        (MemoryError(), Kind.MEMORY, "memory ran out (MemoryError)"),
        (
            RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes"),
            Kind.MEMORY,
            "memory ran out (RuntimeError: RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes)",
        ),
        (KeyError(), Kind.OTHER, "KeyError"),
    ],
)
def test_an_exception_in_a_worker_is_told_with_its_type(cause, kind, told):
    """Ray passes a class on that is of its own type and of that of the cause."""
    error = exceptions.RayTaskError("count", "Traceback\nof Ray", cause, ip="127.0.0.1").as_instanceof_cause()
    fault = fault_of(error)
    assert (fault.kind, fault.told, fault.raised) == (kind, told, True)


def test_the_last_sentence_of_a_search_without_memory_names_the_remedies():
    sentence = out_of_memory(fault_of(exceptions.OutOfMemoryError(KILLED)), 4, 1.25)
    assert sentence == (
        "memory ran out on node 10.0.0.7 (1.98 of 23.54 GB in use), with 4 workers of up to 1,250 MB each; use fewer "
        "`workers`, give the machine more memory, or begin a search with a smaller `batch_size`."
    )
    alone = out_of_memory(fault_of(exceptions.OutOfMemoryError(KILLED)), 1, 1.25)
    assert "with a single worker of up to 1,250 MB; give the machine more memory, or" in alone


CLASSES = sorted(
    {
        known
        for known in vars(exceptions).values()
        if isinstance(known, type) and issubclass(known, exceptions.RayError)
    },
    key=lambda known: known.__name__,
)


@pytest.mark.parametrize("known", CLASSES, ids=lambda known: known.__name__)
@given(text=st.text(max_size=3000))
def test_no_exception_of_ray_gives_a_long_text(known, text):
    error = known.__new__(known)
    error.args = (text,)
    known.__str__ = lambda self: text
    try:
        told = fault_of(error).told
    finally:
        del known.__str__
    assert "\n" not in told
    assert "\x1b" not in told
    assert 0 < len(told) <= MOST_CHARACTERS + 100


@given(st.text())
@example("0 .")
def test_a_shortened_text_is_one_line_of_the_same_words(text):
    line = shortened(text)
    assert len(line) <= MOST_CHARACTERS + len(" ...")
    assert line == shortened(line).rstrip() or line.endswith("...")
    assert len(line.splitlines()) <= 1


def test_the_gist_of_a_long_log_is_short():
    assert len(gist("\n".join(f"ERROR: {number} " + "x" * 500 for number in range(100)))) < 2 * MOST_CHARACTERS

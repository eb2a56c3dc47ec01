"""A watch on the head of Ray and on Ray's node here, so that a search ends with a sentence.

Without a head, Ray retries in silence, and after :data:`RAY_SECONDS` its library ends the whole process. Without
the node here, the library does so at the next ``ray.put``, without a word.
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from engine.cluster.faults import fault_of
from engine.cluster.options import CLIENT_SCHEME
from engine.errors import BackendError, EvopruneError

RAY_SECONDS = 60.0
"""Seconds after which Ray ends a process whose head does not answer, unless ``_VARIABLE`` gives others."""

SHARE = 0.6
"""Share of those seconds after which the search ends; a head that restarts sooner does no harm."""

EVERY = 2.0
"""Seconds between two looks, and most seconds that a look takes."""

_SAVED = "finished generations are saved; resume the run with `backend` local or another `address`"

_CONNECTION = {"ConnectionError", "RpcError", "RayError"}
"""Names of exceptions of Ray and its client; gRPC is not imported for its own."""

_VARIABLE = "RAY_gcs_rpc_server_reconnect_timeout_s"


class HeadWatch:
    """Looks at the port of the head from a thread of its own, because calls of Ray may block meanwhile."""

    def __init__(self, address: str | None, node: str | None = None, patience: float | None = None):
        """Begin to look.

        Args:
            address: HOST:PORT of the head, with or without the scheme of clients; None if unknown.
            node: path of the socket of Ray's node on this machine; None if the search needs none.
            patience: seconds of silence after which the head counts as gone.
        """
        self._address = address
        self._target = None if address is None else _host_and_port(address)
        self._patience = SHARE * _seconds_of_ray() if patience is None else patience
        self._answered = monotonic()
        self._node = node
        self._line = None if node is None else _connected(node)
        self._ended = threading.Event()
        threading.Thread(target=self._look, name="watch on the head of Ray", daemon=True).start()

    @classmethod
    def of(cls, ray: Any, address: str | None) -> "HeadWatch":
        """The watch on the head of the cluster that this process has joined, as it is reached from here."""
        if address is not None and address.startswith(CLIENT_SCHEME):
            return cls(address)
        node = ray._private.worker._global_node
        if node is None:
            # The user's own program is a client, of a cluster whose head may have no address that holds here.
            return cls(None)
        return cls(ray.get_runtime_context().gcs_address, node.raylet_socket_name)

    def check(self) -> None:
        """Raise BackendError if the head has been silent for too long, or the node here is gone."""
        if self._node is not None and not self._node_is_there(self._node):
            raise BackendError(f"Ray's node on this machine is gone; {_SAVED}.")
        silent = monotonic() - self._answered
        if silent > self._patience:
            raise BackendError(
                f"the head of Ray at {self._address} has not answered for {silent:.0f} s; {_SAVED}."
            )

    def answers(self) -> bool:
        """Whether the head answers now. Ask before a call of Ray that waits for the head, such as a new actor."""
        try:
            if self._target is not None:
                socket.create_connection(self._target, timeout=EVERY).close()
        except OSError:
            return False
        self._answered = monotonic()
        return True

    def close(self) -> None:
        """End the watch."""
        self._ended.set()
        if self._line is not None:
            self._line.close()

    def _node_is_there(self, node: str) -> bool:
        """Whether the other end of the line is still open; a new line is tried once."""
        if self._line is None:
            # There was no line to lose, as on Windows.
            return True
        try:
            if self._line.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK):
                return True
        except BlockingIOError:
            return True
        except OSError:
            pass
        self._line.close()
        self._line = _connected(node)
        return self._line is not None

    def _look(self) -> None:
        while not self._ended.wait(EVERY):
            self.answers()


@contextmanager
def lost_connection() -> Iterator[None]:
    """Raise BackendError where Ray, or its client, says that the cluster or its node here is gone."""
    try:
        yield
    except (EvopruneError, BrokenPipeError):
        # Our own words, or the reader of our own output is gone.
        raise
    except Exception as error:
        if not _CONNECTION.intersection(known.__name__ for known in type(error).__mro__):
            raise
        raise BackendError(f"the connection to Ray is lost ({fault_of(error).cause}); {_SAVED}.") from error


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.removeprefix(CLIENT_SCHEME).rpartition(":")
    return host.strip("[]"), int(port)


def _connected(path: str) -> socket.socket | None:
    """A socket that is connected to the Unix socket at ``path``; None if nothing listens there."""
    if not hasattr(socket, "AF_UNIX"):
        return None
    line = socket.socket(socket.AF_UNIX)
    try:
        line.connect(path)
    except OSError:
        line.close()
        return None
    return line


def _seconds_of_ray() -> float:
    try:
        return float(os.environ.get(_VARIABLE, RAY_SECONDS))
    except ValueError:
        return RAY_SECONDS

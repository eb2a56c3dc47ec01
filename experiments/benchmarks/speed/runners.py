"""A network in a runtime, ready to be timed at fixed shapes."""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import numpy as np


class Runner(Protocol):
    """One network in one runtime."""

    shape: tuple[int, ...]
    """Of an image: height, width, channels."""

    def compile(self, images: np.ndarray) -> None:
        """Get ready for normalised ``float32[b, height, width, channels]``."""
        ...

    def run(self) -> None:
        """Compute the logits of the images that it was compiled for; returns when they are there."""
        ...


class JaxRunner:
    """The network of a model directory under ``jax.jit``, on JAX's default device."""

    def __init__(self, place: Path):
        from models import model_directory

        self._network = model_directory.load(place).network
        self.shape: tuple[int, ...] = self._network.architecture.input_shape
        self._program: Any = None
        self._images: Any = None

    def compile(self, images: np.ndarray) -> None:
        """See :class:`Runner`."""
        import jax

        self._images = jax.device_put(images)
        forward = jax.jit(lambda network, images: network(images))
        self._program = forward.lower(self._network, self._images).compile()

    def run(self) -> None:
        """See :class:`Runner`."""
        import jax

        jax.block_until_ready(self._program(self._network, self._images))


class OnnxRunner:
    """An export of ``format`` onnx in ONNX Runtime, with its default threads and the providers that it has."""

    def __init__(self, place: Path):
        import onnxruntime

        from models.export.description import ONNX_FILE

        self._session = onnxruntime.InferenceSession(
            place / ONNX_FILE, providers=onnxruntime.get_available_providers()
        )
        [given] = self._session.get_inputs()
        self.shape: tuple[int, ...] = tuple(given.shape[1:])
        self._inputs: dict[str, np.ndarray] = {given.name: np.zeros(0, np.float32)}

    def compile(self, images: np.ndarray) -> None:
        """See :class:`Runner`. Takes its memory with the first call."""
        self._inputs = dict.fromkeys(self._inputs, images)
        self.run()

    def run(self) -> None:
        """See :class:`Runner`."""
        self._session.run(None, self._inputs)


class TorchRunner:
    """An export of ``format`` torch in PyTorch, with its default threads, on a GPU where PyTorch sees one."""

    def __init__(self, place: Path):
        import torch

        from models.export import description
        from models.export.torch import torch_network

        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network, self._logits = torch_network(place)
        network.to(self._device)
        channels, height, width = description.read(place)["input"]["shape"][1:]
        self.shape: tuple[int, ...] = (height, width, channels)
        self._images: Any = None

    def compile(self, images: np.ndarray) -> None:
        """See :class:`Runner`. Takes its memory with the first call."""
        import torch

        laid_out = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
        self._images = torch.from_numpy(laid_out).to(self._device)
        self.run()

    def run(self) -> None:
        """See :class:`Runner`."""
        import torch

        with torch.inference_mode():
            self._logits(self._images)
        if self._device.type == "cuda":
            torch.cuda.synchronize()


RUNNERS: dict[str, Callable[[Path], Runner]] = {
    "JAX": JaxRunner,
    "ONNX Runtime": OnnxRunner,
    "PyTorch": TorchRunner,
}
"""By the name of the runtime. Each takes the place of what it loads."""


def seconds_of(runner: Runner, calls: int) -> list[float]:
    """Seconds of each of ``calls`` calls, one behind the other."""
    found = []
    for _ in range(calls):
        started = perf_counter()
        runner.run()
        found.append(perf_counter() - started)
    return found

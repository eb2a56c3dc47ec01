"""Rival A: a plain PyTorch loop over masks, with the optimisations that keep it plain.

Channels-last; float32, or bfloat16 under ``torch.autocast`` (on CUDA also through ``torch.compile``). Images
stay on the device, and one number leaves it for each mask. The only module here that imports torch.
"""

from contextlib import AbstractContextManager
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from experiments.benchmarks.subject import Subject, even_batches
from models.arrays import arrays_of

CPU_BATCH = 64
"""The fastest of 64, 128 and 256 on 2 cores (368, 347 and 301 images/s for a full-size VGG-16)."""

GPU_BATCH = 2048
Arrays = dict[str, torch.Tensor]


class Variant(NamedTuple):
    """A way to run the network."""

    name: str
    half: bool
    compiled: bool = False


def variants() -> list[Variant]:
    """All that this machine can run."""
    found = [Variant("PyTorch float32", False), Variant("PyTorch bfloat16", True)]
    if torch.cuda.is_available():
        found.append(Variant("PyTorch bfloat16 compiled", True, compiled=True))
    return found


class TorchVGG:
    """The network as a person would write it in PyTorch; a :class:`~experiments.benchmarks.rivals.loops.Loop`."""

    def __init__(self, subject: Subject, variant: Variant):
        self.name = variant.name
        self.total = len(subject.images)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._half = variant.half
        self._architecture = subject.vgg
        self._layout = subject.genome.layout
        self._arrays = {name: self._placed(name, a) for name, a in arrays_of(subject.model.network).items()}
        normalisation = subject.model.normalisation
        self._mean = torch.tensor(normalisation.mean, device=self._device).view(1, -1, 1, 1)
        self._std = torch.tensor(normalisation.std, device=self._device).view(1, -1, 1, 1)
        images = torch.from_numpy(subject.images.transpose(0, 3, 1, 2).copy()).to(self._device)
        labels = torch.from_numpy(subject.labels.astype(np.int64)).to(self._device)
        batches = even_batches(self.total, GPU_BATCH if self._device.type == "cuda" else CPU_BATCH)
        self._batches = [(images[part], labels[part]) for part in batches]
        # Two lengths of batch at most, so two static programs: faster than one for any length.
        self._forward = torch.compile(self._logits, dynamic=False) if variant.compiled else self._logits

    @torch.inference_mode()
    def count(self, mask: np.ndarray) -> int:
        """Correct images under ``bool[f]``."""
        arrays = self._masked(mask)
        correct = torch.zeros((), dtype=torch.int64, device=self._device)
        with self._autocast():
            for images, labels in self._batches:
                correct += (self._classes(arrays, images) == labels).sum()
        return int(correct)

    @torch.inference_mode()
    def predict(self, mask: np.ndarray) -> np.ndarray:
        """Predicted classes ``int64[total]`` under ``bool[f]``."""
        arrays = self._masked(mask)
        with self._autocast():
            return np.concatenate([self._classes(arrays, images).cpu().numpy() for images, _ in self._batches])

    def _placed(self, name: str, array: np.ndarray) -> torch.Tensor:
        """An array on the device, in the type that it is used in: autocast then has nothing left to cast."""
        tensor = torch.from_numpy(array.copy()).to(self._device)
        if tensor.ndim == 4:
            tensor = tensor.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
        elif tensor.ndim == 2:
            tensor = tensor.t().contiguous()
        return tensor.bfloat16() if self._half and ".norm." not in name else tensor

    def _masked(self, mask: np.ndarray) -> Arrays:
        """The arrays with removed filters zeroed, as ``torch.nn.utils.prune`` does: once a mask, not a batch."""
        arrays = dict(self._arrays)
        for name, keep in self._layout.split(mask).items():
            for path in ("convolution.kernel", "convolution.bias", "norm.scale", "norm.bias"):
                if f"{name}.{path}" in arrays:
                    array = arrays[f"{name}.{path}"]
                    factor = torch.from_numpy(keep).to(self._device, array.dtype)
                    arrays[f"{name}.{path}"] = array * factor.view(-1, *[1] * (array.ndim - 1))
        return arrays

    def _autocast(self) -> AbstractContextManager[None]:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._half)

    def _classes(self, arrays: Arrays, images: torch.Tensor) -> torch.Tensor:
        batch = images.float().div_(255).sub_(self._mean).div_(self._std)
        return self._forward(arrays, batch.contiguous(memory_format=torch.channels_last)).argmax(1)

    def _logits(self, arrays: Arrays, carry: torch.Tensor) -> torch.Tensor:
        for b, block in enumerate(self._architecture.blocks, 1):
            for c in range(1, len(block) + 1):
                name = f"conv{b}_{c}"
                kernel, bias = arrays[f"{name}.convolution.kernel"], arrays[f"{name}.convolution.bias"]
                carry = functional.conv2d(carry, kernel, bias, padding=1)
                if self._architecture.batch_norm:
                    mean, var, scale, shift = (
                        arrays[f"{name}.norm.{part}"] for part in ("mean", "var", "scale", "bias")
                    )
                    carry = functional.batch_norm(carry, mean, var, scale, shift, eps=self._architecture.epsilon)
                carry = carry.relu_()
            carry = functional.max_pool2d(carry, 2)
        carry = carry.permute(0, 2, 3, 1).flatten(1)
        for i in range(1, len(self._architecture.hidden) + 1):
            carry = self._dense(arrays, f"fc{i}", carry).relu_()
        return self._dense(arrays, "logits", carry)

    def _dense(self, arrays: Arrays, name: str, carry: torch.Tensor) -> torch.Tensor:
        return functional.linear(carry, arrays[f"{name}.dense.kernel"], arrays[f"{name}.dense.bias"])

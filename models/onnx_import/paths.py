"""Names for the arrays of a graph: ``LAYER.ROLE``, so that each filter group has the name of its layer."""

import re
from collections.abc import Iterable, Mapping

from models.onnx.graph import Node

ROLES: Mapping[str, tuple[str, ...]] = {
    "Conv": ("", "kernel", "bias"),
    "Gemm": ("", "kernel", "bias"),
    "MatMul": ("kernel", "kernel"),
    "BatchNormalization": ("", "scale", "bias", "mean", "var"),
    "InstanceNormalization": ("", "scale", "bias"),
    "PRelu": ("", "slope"),
}
"""Operation -> the role of each input."""

STATISTICS = ("mean", "var")
"""Roles of arrays that are no parameters."""

_NAMED = re.compile(r"[A-Za-z_][\w/-]*(?:\.[\w/-]+)*\.(?:weight|bias|kernel|scale|gamma|beta)")


def array_paths(nodes: Iterable[Node], names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Path and role of each array, by the name of its value.

    An array called ``LAYER.weight``, as PyTorch does, gives its layer the name. Any other layer has the name of
    its node, or of the node's result.
    """
    wanted = set(names)
    uses: dict[str, tuple[Node, str]] = {}
    for node in nodes:
        roles = ROLES.get(node.operator, ())
        for place, name in enumerate(node.inputs):
            if name in wanted and name not in uses:
                uses[name] = (node, roles[place] if place < len(roles) and roles[place] else "constant")
    layers: dict[int, str] = {}
    for name, (node, role) in uses.items():
        if role != "bias" and _NAMED.fullmatch(name):
            layers.setdefault(id(node), name.rpartition(".")[0])
    found: dict[str, tuple[str, str]] = {}
    taken: set[str] = set()
    for name, (node, role) in uses.items():
        layer = layers.get(id(node)) or _plain(node.name or node.outputs[0])
        path = f"{layer}.{role}"
        number = 1
        while path in taken:
            number += 1
            path = f"{layer}#{number}.{role}"
        taken.add(path)
        found[name] = (path, role)
    return found


def _plain(name: str) -> str:
    """``features.0`` of PyTorch's ``/features/features.0/Conv``; any other name without slashes at its ends."""
    parts = [part for part in name.split("/") if part]
    if len(parts) > 1 and name.startswith("/"):
        parts = parts[:-1]
        # PyTorch repeats the outer module's name in the inner one's.
        pairs = zip(parts, [*parts[1:], ""], strict=True)
        return ".".join(part for part, inner in pairs if not inner.startswith(f"{part}."))
    return "/".join(parts) or "node"

"""Names of arrays without what wrappers put into them, and the networks among the names.

A network is known by the first parts of its names, such as ``features`` or ``layer1``. What lies before them is
the root of the network: ``model.backbone`` of ``model.backbone.features.0.weight``.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from itertools import takewhile

_MARKERS = {
    "module",
    "_module",
    "_orig_mod",
    "_forward_module",
    "_original_module",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
}
"""Parts that DataParallel, torch.compile, Opacus, Fabric and FSDP put into names; no network calls a layer so."""
_BODY = re.compile(r"features?|layer\d+")
_ENDS = re.compile(r"conv1|bn1|classifiers?|linear|fc")
"""First parts of the names of the networks that can be imported: of the body, and of layers before and after."""
_OUTPUTS = {"linear", "fc", "classifiers"}
"""Other words for ``classifier``."""
_LAST = re.compile(r"(weight|bias|running_mean|running_var)(_orig|_mask|_g|_v|_u)?|original[01]?")
"""Last parts of the names of a layer's arrays."""
_COUNTERS = {"num_batches_tracked", "n_averaged"}
_SECOND = re.compile(r"(^|_)(ema|averaged?|avg|swa|shadow|teacher|target|momentum)(?=_|$)|ema$", re.IGNORECASE)
_TRAINING = re.compile(r"criterion|loss|metric|accuracy", re.IGNORECASE)


def without_markers(names: Collection[str]) -> dict[str, str]:
    """Name -> name without the parts of wrappers; the same names where two would become one."""
    plain = {name: without_marker(name) for name in names}
    if len(set(plain.values())) < len(plain) or "" in plain.values():
        return {name: name for name in names}
    return plain


def without_marker(name: str) -> str:
    """The name without the parts of wrappers."""
    return ".".join(part for part in name.split(".") if part not in _MARKERS)


def is_part_of_layer(name: str) -> bool:
    """Whether the name is one of a layer's arrays."""
    return _LAST.fullmatch(name.rpartition(".")[2]) is not None


def is_counter(name: str) -> bool:
    """Whether the name is that of a count of steps or of averaged networks."""
    return name.rpartition(".")[2] in _COUNTERS


def is_second(label: str) -> bool:
    """Whether a network of this name is an average or a teacher of another one."""
    return any(_SECOND.search(part) for part in label.split("."))


def is_of_training(name: str) -> bool:
    """Whether the name belongs to a loss or a metric."""
    return _TRAINING.search(name) is not None


def listed(names: Collection[str], most: int = 3) -> str:
    """The first names for a sentence, and how many more there are."""
    shown = ", ".join(repr(name) for name in list(names)[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


@dataclass(frozen=True)
class Network:
    """Names of one network.

    Attributes:
        root: what the names begin with.
        names: name without the root -> name.
        parts: the roots that were put together, if the layers do not lie under one root.
    """

    root: str
    names: dict[str, str]
    parts: tuple[str, ...] = ()


def networks(names: Collection[str]) -> tuple[list[Network], list[str]]:
    """The networks among the names, and the names that belong to none.

    First and last layers under another root than the body are parts of the same network, if there is one body
    without them: ``encoder.layer1.0.conv1.weight`` and ``fc.weight``. Where no network is known, the root is what
    all names share, except for their last two parts.
    """
    roots: dict[str, list[str]] = {}
    others = []
    for name in names:
        root = _root(name)
        if root is None:
            others.append(name)
        else:
            roots.setdefault(root, []).append(name)
    made: list[Network] = []
    for root in sorted(roots, key=len):
        if any(_BODY.fullmatch(_first(root, name)) for name in roots[root]) and not _owner(made, root):
            made.append(Network(root, {_below(root, name): name for name in roots[root]}))
    if not made:
        whole = _deeper(Network("", {name: name for name in names}))
        if whole.root == "":
            shared = ".".join(takewhile(lambda part: not _is_layer(part), _shared(names).split(".")))
            whole = Network(shared, {_below(shared, name): name for name in names})
        return [whole], []
    roots = {root: held for root, held in roots.items() if root not in {each.root for each in made}}
    first = [each for each in made if not is_second(each.root)]
    ends = {root: held for root, held in roots.items() if not is_second(root)}
    if len(first) == 1 and ends and (joined := _joined(first[0], ends)):
        made[made.index(first[0])] = joined
        roots = {root: held for root, held in roots.items() if root not in ends}
    if len(made) == 1 and not others and not roots:
        made = [_deeper(made[0])]
    strangers = []
    for name in [*others, *(name for held in roots.values() for name in held)]:
        owner = _owner(made, name)
        if owner is None:
            strangers.append(name)
        else:
            owner.names[_below(owner.root, name)] = name
    return made, strangers


def _owner(networks: Collection[Network], name: str) -> Network | None:
    """The network with the longest root before the name, unless an average or a teacher follows the root."""
    owners = [
        each
        for each in networks
        if (each.root == "" or name.startswith(f"{each.root}.")) and not is_second(_below(each.root, name))
    ]
    return max(owners, key=lambda each: len(each.root), default=None)


def _joined(body: Network, ends: dict[str, list[str]]) -> Network | None:
    """The body with layers of other roots; None if two have the same layer."""
    found = {body.root: list(body.names.values()), **ends}
    layers = [{_first(root, name) for name in held} for root, held in found.items()]
    layers = [{"classifier" if each in _OUTPUTS else each for each in held} for held in layers]
    if len(set().union(*layers)) < sum(map(len, layers)):
        return None
    joined = {_below(root, name): name for root, held in found.items() for name in held}
    return Network("", joined, tuple(found))


def _deeper(network: Network) -> Network:
    """The network with the root ``features.net`` of ``features.net.classifier.0.weight``."""
    names = list(network.names.values())
    shared = _shared(names).split(".")
    for length in range(len(shared), 0, -1):
        root = ".".join(shared[:length])
        inner = [_below(root, name) for name in names]
        if {_root(name) for name in inner} == {""} and any(_BODY.fullmatch(_first("", name)) for name in inner):
            return Network(root, dict(zip(inner, names, strict=True)))
    return network


def _below(root: str, name: str) -> str:
    return name.removeprefix(f"{root}.") if root else name


def _first(root: str, name: str) -> str:
    return _below(root, name).split(".")[0]


def _is_layer(part: str) -> bool:
    return bool(_BODY.fullmatch(part) or _ENDS.fullmatch(part))


def _root(name: str) -> str | None:
    parts = name.split(".")
    for place, part in enumerate(parts[:-1]):
        if _is_layer(part):
            return ".".join(parts[:place])
    return None


def _shared(names: Collection[str]) -> str:
    shared = []
    for parts in zip(*(name.split(".")[:-2] for name in names), strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return ".".join(shared)

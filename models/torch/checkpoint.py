"""The networks of a checkpoint, and the one to import.

A checkpoint keeps weights under a key, often beside the state of the optimizer, settings and an average of the
weights. A ``state_dict`` may hold several networks too, such as a student and its teacher.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from models.errors import StoreError
from models.torch import names
from models.torch.front import Front, front_of, without_fronts
from models.torch.pickled import NumPyArray, Opaque
from models.torch.tensors import Tensor

_DEEPEST = 8
_Found = tuple[tuple[str, ...], Mapping[Any, Any]]
"""Path and content of a mapping."""


@dataclass(frozen=True)
class Candidate:
    """A network in a checkpoint.

    Attributes:
        key: dotted path of the mapping that holds the network, empty for the whole file.
        root: what the names in this mapping begin with.
        tensors: by their names without the root.
        strangers: names in the mapping that belong to no network.
        assumed: sentences, see :class:`models.imported.ImportedNetwork`.
        fronts: normalisation layers of the mapping, one at most of the network that is chosen.
        fault: why the arrays cannot be read, if they cannot.
    """

    key: str
    root: str
    tensors: dict[str, Tensor]
    strangers: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    fronts: tuple[Front, ...] = ()
    fault: str | None = None

    @property
    def label(self) -> str:
        """What the option ``weights`` calls the network."""
        return ".".join(part for part in (self.key, self.root) if part)


def chosen(content: Any, file: str, weights: str | None) -> Candidate:
    """The one network of ``content``, or the one whose key is ``weights``.

    An average, a teacher or another second network is taken only where there is no other, or by its key.

    Raises:
        StoreError: there is no network, or none that stands out.
    """
    mappings = list(_mappings(content, (), set()))
    if any(map(_looks_like_layers, (found for _, found in mappings))):
        mappings = [(key, found) for key, found in mappings if _looks_like_layers(found)]
    if not mappings:
        raise StoreError(_nothing(content, file))
    candidates = [each for key, found in mappings for each in _candidates(".".join(key), found)]
    likely = candidates if weights is None else _named(candidates, weights)
    first = [each for each in likely if not names.is_second(each.label)] or likely
    if len(first) != 1:
        raise StoreError(f"holds several networks, under {_labels(first)}; choose one by `weights`.")
    [taken] = first
    if taken.fault:
        raise StoreError(taken.fault)
    if taken.strangers and weights is None:
        raise StoreError(
            f"holds {names.listed(taken.strangers)} beside the network under {taken.label!r}; `weights` "
            f"{taken.label!r} takes that network alone."
        )
    assumed = []
    if weights is None and (taken.label or len(candidates) > 1):
        left = _labels([each for each in candidates if each is not taken])
        others = f", not of {left} (`weights`)" if left else ""
        assumed.append(f"the weights are those of {_labels([taken])}{others}")
    if taken.strangers:
        assumed.append(f"{names.listed(taken.strangers)} left out")
    front = front_of(taken.root, taken.fronts)
    fronts = () if front is None else (front,)
    return Candidate(taken.key, taken.root, taken.tensors, (), (*assumed, *taken.assumed), fronts)


def _mappings(value: Any, path: tuple[str, ...], seen: set[int]) -> Iterator[_Found]:
    """Mappings with a matrix or kernel in them, and their paths; none of an optimizer or a pickled network."""
    if not isinstance(value, dict | list | tuple) or id(value) in seen or len(path) > _DEEPEST:
        return
    seen.add(id(value))
    if isinstance(value, list | tuple):
        value = {str(place): item for place, item in enumerate(value)}
    if isinstance(value, Opaque) and not value.is_module and isinstance(value.state, dict):
        value = {**value.state, **value}
    if "param_groups" in value or (isinstance(value, Opaque) and value.is_module):
        return
    value = {key: item.tensor() if isinstance(item, NumPyArray) else item for key, item in value.items()}
    if any(_is_weight(str(key), item) for key, item in value.items()):
        yield path, value
    for key, item in value.items():
        if isinstance(key, str):
            yield from _mappings(item, (*path, key), seen)


def _is_weight(name: str, item: Any) -> bool:
    if isinstance(item, Opaque):
        return item.is_tensor and names.is_part_of_layer(name)
    return isinstance(item, Tensor) and len(item.shape) > 1 and (item.floating or names.is_part_of_layer(name))


def _looks_like_layers(mapping: Mapping[Any, Any]) -> bool:
    return any(
        isinstance(item, Tensor | Opaque) and names.is_part_of_layer(str(key)) for key, item in mapping.items()
    )


def _candidates(key: str, mapping: Mapping[Any, Any]) -> list[Candidate]:
    """The networks of one mapping."""
    try:
        tensors, fronts, assumed = _arrays(mapping)
    except StoreError as error:
        return [Candidate(key, "", {}, fault=str(error))]
    training = [name for name in tensors if names.is_of_training(name)]
    if len(training) < len(tensors):
        tensors = {name: item for name, item in tensors.items() if name not in training}
        assumed += [f"{names.listed(training)} left out, which belong to the training"] if training else []
    found, strangers = names.networks(tensors)
    candidates = []
    for network in found:
        said = list(assumed)
        if network.parts:
            shown = names.listed([root or "the top level" for root in network.parts])
            said.append(f"the layers under {shown} are one network")
        held = {plain: tensors[name] for plain, name in network.names.items()}
        candidates.append(Candidate(key, network.root, held, tuple(strangers), tuple(said), tuple(fronts)))
    return candidates


def _arrays(mapping: Mapping[Any, Any]) -> tuple[dict[str, Tensor], list[Front], list[str]]:
    """Arrays by their names without markers, normalisation layers, and a sentence about what else lies there."""
    tensors: dict[str, Tensor] = {}
    left, averaged = [], False
    plain = names.without_markers([str(name) for name in mapping])
    for key, item in mapping.items():
        name = plain[str(key)]
        if names.is_counter(name):
            averaged = averaged or name == "n_averaged"
            continue
        if "_packed_params" in name:
            raise StoreError(f"holds a quantised layer ({name!r}); save the state_dict of the float network.")
        if isinstance(item, Tensor) and (item.floating or names.is_part_of_layer(name)):
            tensors[name] = item
        elif names.is_part_of_layer(name):
            kind = item.origin if isinstance(item, Opaque) else type(item).__name__
            raise StoreError(
                f"has no plain tensor in {name!r} ({kind}); save model.state_dict() of the float network."
            )
        else:
            left.append(name)
    tensors, fronts = without_fronts(tensors)
    single = [name for name, item in tensors.items() if not item.shape and not names.is_part_of_layer(name)]
    tensors = {name: item for name, item in tensors.items() if name not in single}
    left += single
    said = ["the weights are an average, as AveragedModel saves"] if averaged else []
    return (
        tensors,
        fronts,
        said + ([f"{names.listed(left)} left out, as no layer has such an array"] if left else []),
    )


def _named(candidates: list[Candidate], weights: str) -> list[Candidate]:
    """Those whose label or key is ``weights``, or ends in it."""
    weights = names.without_marker(weights.strip("."))
    for fits in (
        lambda each: each.label == weights,
        lambda each: each.key == weights,
        lambda each: f".{each.label}".endswith(f".{weights}"),
        lambda each: f".{each.key}".endswith(f".{weights}"),
    ):
        if found := [each for each in candidates if fits(each)]:
            return found
    raise StoreError(f"has no network under `weights` {weights!r}; choose {_labels(candidates)}.")


def _nothing(content: Any, file: str) -> str:
    """Why there is no network."""
    for path, origin in _modules(content, "", set()):
        lines = f"torch.save(torch.load('{file}', weights_only=False){path}.state_dict(), 'weights.pt')"
        return (
            f"holds a pickled network (class {origin}), not a state_dict; none of its code was run; if you trust "
            f"the file, save the weights by {lines} where that class can be imported."
        )
    if isinstance(content, Opaque):
        return f"holds {content.origin}, which was not run, and no state_dict; save model.state_dict()."
    if not isinstance(content, dict) or not content:
        return "holds no state_dict; save model.state_dict()."
    return f"holds no state_dict, only {names.listed([str(key) for key in content])}; save model.state_dict()."


def _modules(value: Any, path: str, seen: set[int]) -> Iterator[tuple[str, str]]:
    """The pickled networks, each by the brackets that lead to it and the name of its class."""
    if id(value) in seen or len(seen) > 10_000:
        return
    seen.add(id(value))
    if isinstance(value, Opaque) and value.is_module:
        yield path, value.origin
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _modules(item, f"{path}[{key!r}]", seen)


def _labels(candidates: list[Candidate]) -> str:
    return ", ".join(repr(each.label) if each.label else "the top level" for each in candidates)

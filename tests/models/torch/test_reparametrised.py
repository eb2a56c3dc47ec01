"""Weights that PyTorch keeps in parts, against what its layers compute with."""

import numpy as np
import pytest

from models.errors import StoreError
from models.torch.reparametrised import folded


def rng(*shape):
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


def test_pruned_weights_are_masked():
    weight, mask = rng(4, 3, 3, 3), np.random.default_rng(1).random((4, 3, 3, 3)) > 0.5
    arrays, said = folded({"a.weight_orig": weight, "a.weight_mask": mask.astype(np.float32), "a.bias": rng(4)})
    np.testing.assert_array_equal(arrays["a.weight"], np.where(mask, weight, 0))
    assert arrays.keys() == {"a.weight", "a.bias"}
    assert said == ("'a.weight' folded from the parts that torch.nn.utils.prune makes",)


@pytest.mark.parametrize(
    "form", ["a.weight_g a.weight_v", "a.parametrizations.weight.original0 a.parametrizations.weight.original1"]
)
def test_weight_normalised_weights_have_the_stored_lengths(form):
    lengths, directions = np.abs(rng(4, 1, 1, 1)), rng(4, 3, 3, 3)
    arrays, _ = folded(dict(zip(form.split(), [lengths, directions], strict=True)))
    np.testing.assert_allclose(
        np.linalg.norm(arrays["a.weight"].reshape(4, -1), axis=1), lengths.ravel(), rtol=1e-5
    )
    ratio = arrays["a.weight"] / directions
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1, :1, :1], ratio.shape), rtol=1e-4)


@pytest.mark.parametrize(
    ("arrays", "remedy"),
    [
        ({"a.weight_orig": rng(3, 3)}, r"'a\.weight' in parts \(orig\).*remove_spectral_norm\(layer, 'weight'\)"),
        ({"a.weight_mask": rng(3, 3)}, r"prune\.remove\(layer, 'weight'\)"),
        ({"a.weight_mask": rng(3, 3), "a.weight_orig": rng(2, 3)}, r"prune\.remove"),
        ({"a.weight_g": rng(3, 1)}, r"remove_weight_norm"),
        ({"a.weight_g": rng(2, 1), "a.weight_v": rng(3, 3)}, r"remove_weight_norm"),
        ({"a.weight_orig": rng(3, 3), "a.weight_u": rng(2), "a.weight_v": rng(3)}, "remove_spectral_norm"),
        ({"a.parametrizations.weight.original": rng(3, 3)}, r"remove_parametrizations\(layer, 'weight'\)"),
        (
            {"a.parametrizations.weight.original0": rng(3, 2), "a.parametrizations.weight.original1": rng(2, 3)},
            "remove_p",
        ),
        (
            {"a.parametrizations.weight.original": rng(3, 3), "a.parametrizations.weight.0.base": rng(3, 3)},
            "remove_p",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused_with_the_call_that_joins_them(arrays, remedy):
    with pytest.raises(StoreError, match=remedy):
        folded(arrays)


def wrap(torch, kind, dim):
    """A layer of a kind and the module that computes with it."""
    from torch.nn.utils import prune

    utils, parametrizations = torch.nn.utils, torch.nn.utils.parametrizations
    layer = torch.nn.Conv2d(3, 4, 3)
    if kind == "pruned":
        prune.l1_unstructured(layer, "weight", amount=0.5)
        prune.random_structured(layer, "weight", amount=1, dim=0)
        prune.l1_unstructured(layer, "bias", amount=2)
    elif kind == "weight norm":
        parametrizations.weight_norm(layer, dim=dim)
    elif kind == "old weight norm":
        utils.weight_norm(layer, dim=dim)
    elif kind == "spectral norm":
        parametrizations.spectral_norm(layer)
    else:
        utils.spectral_norm(layer)
    layer(torch.zeros(1, 3, 3, 3))
    return layer.eval()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dim", [0, 1, None])
@pytest.mark.parametrize(
    "kind", ["pruned", "weight norm", "old weight norm", "spectral norm", "old spectral norm"]
)
def test_folded_weights_are_those_that_pytorch_computes_with(kind, dim):
    torch = pytest.importorskip("torch")
    layer = wrap(torch, kind, dim)
    layer(torch.zeros(1, 3, 3, 3))
    arrays, said = folded({f"a.{name}": tensor.numpy() for name, tensor in layer.state_dict().items()})
    assert arrays.keys() == {"a.weight", "a.bias"}
    for name in ("weight", "bias"):
        np.testing.assert_allclose(
            arrays[f"a.{name}"], getattr(layer, name).detach().numpy(), rtol=1e-5, atol=1e-6
        )
    assert len(said) == 1

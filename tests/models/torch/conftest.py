import pytest

from tests.models.torch.test_torch_import import state_dict


@pytest.fixture(scope="session")
def vgg():
    """The arrays of a VGG with batch norm, by their names in PyTorch, without the counter."""
    return {name: array for name, array in state_dict(batch_norm=True).items() if array.ndim}

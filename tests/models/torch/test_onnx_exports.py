"""Files of PyTorch's exporters, whose batch norms are kept as the documentation says."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from models.normalisation import Normalisation  # noqa: E402
from models.onnx_import.importing import import_onnx  # noqa: E402

PLAIN = Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
EXPORTERS = {
    "new": {"dynamo": True, "optimize": False, "external_data": False, "verbose": False},
    "old": {
        "dynamo": False,
        "training": torch.onnx.TrainingMode.PRESERVE,
        "do_constant_folding": False,
    },
}


class Network(torch.nn.Module):
    """Batch norms behind convolutions without a bias, and a shortcut."""

    def __init__(self):
        super().__init__()
        layers = {"first": (3, 5), "second": (5, 4), "third": (4, 5)}
        for name, (inputs, filters) in layers.items():
            norm = torch.nn.BatchNorm2d(filters)
            for array in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
                array.uniform_(0.5, 1.5)
            setattr(
                self, name, torch.nn.Sequential(torch.nn.Conv2d(inputs, filters, 3, padding=1, bias=False), norm)
            )
        self.head = torch.nn.Linear(5, 3)

    def forward(self, images):
        values = torch.relu(self.first(images))
        values = torch.relu(values + self.third(torch.relu(self.second(values))))
        return self.head(values.mean((2, 3)))


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_batch_norms_stay_and_every_filter_can_go(exporter, tmp_path):
    if exporter == "new":
        pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    network, images = Network().eval(), torch.rand(2, 3, 8, 8)
    torch.onnx.export(network, (images[:1],), tmp_path / "network.onnx", **EXPORTERS[exporter])
    model = import_onnx(tmp_path / "network.onnx", PLAIN).model
    assert sorted(group.size for group in model.network.filter_groups) == [4, 5]
    assert sum(len(stage.norms()) for stage in model.network.stages) == 3
    assert model.network.not_compensated == ()
    expected = network(images).detach().numpy()
    inputs = images.numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(model.network(inputs), expected, rtol=1e-4, atol=1e-4)

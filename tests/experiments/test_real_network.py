"""A trained PyTorch VGG-16 on real images, where they are at hand (EVOPRUNE_TEST_SHARED)."""

import json
import os
from pathlib import Path

import pytest

from experiments import cli

SHARED = Path(os.environ.get("EVOPRUNE_TEST_SHARED", "/nowhere"))
WEIGHTS = SHARED / "models" / "vgg16_cifar10.safetensors"


@pytest.mark.slow
@pytest.mark.skipif(not WEIGHTS.exists(), reason="EVOPRUNE_TEST_SHARED does not name a folder with models/")
def test_the_imported_network_is_as_accurate_as_in_pytorch(capsys, tmp_path):
    normalisation = ["--mean", "0.4914,0.4822,0.4465", "--std", "0.2470,0.2435,0.2616"]
    assert cli.run(["import-torch", str(WEIGHTS), str(tmp_path / "big"), *normalisation, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["parameters"] == 15_245_130
    data = ["--data", "cifar10", "--data-dir", str(SHARED / "data" / "cifar10-sample")]
    assert cli.run(["evaluate", str(tmp_path / "big"), *data, "--images", "500", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    # 86.6% on all 10,000; four standard deviations of a sample of 500 are 6%.
    assert result["total"] == 500
    assert 0.80 < result["accuracy"] < 0.93

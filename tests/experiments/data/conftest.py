"""What tests of data sets share."""

import datasets as hf
import pytest


@pytest.fixture(autouse=True, scope="module")
def private_cache(tmp_path_factory):
    """Tables made from the tiny files go to a folder of the test's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hf.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
        yield


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("scratch")

"""VehicleX's own layout, on a folder made up for it."""

import numpy as np
import PIL.Image
import pytest

from engine.errors import DataError
from experiments.data import datasets
from experiments.data.sources.vehiclex import vehiclex
from experiments.studies.reproductions.merged_neurons_data import VEHICLES, read_splits

GREYS = {1: 10, 2: 60, 7: 200}
"""Vehicle -> the colour of all its pictures."""


def picture(folder, vehicle, number):
    folder.mkdir(parents=True, exist_ok=True)
    image = PIL.Image.new("RGB", (40, 30), (GREYS.get(vehicle, vehicle),) * 3)
    image.save(folder / f"{vehicle:04d}_c001_{number}.png")


@pytest.fixture
def folder(tmp_path):
    for split, vehicles in {"train": (7, 1, 2, 1), "val": (2,), "test": (7, 1)}.items():
        for number, vehicle in enumerate(vehicles):
            picture(tmp_path / "cars" / split, vehicle, number)
    (tmp_path / "cars" / "train" / "train_label.xml").write_text("<TrainingImages/>")
    return tmp_path / "cars"


def test_the_vehicle_in_the_name_is_the_class(folder):
    found = datasets.load(f"vehiclex:{folder}", "train", image_size=8)
    assert datasets.available_splits(f"vehiclex:{folder}") == ("train", "test", "val")
    assert found.classes == ("1", "2", "7")
    assert found.images.shape == (4, 8, 8, 3)
    assert np.array_equal(found.labels, [0, 0, 1, 2])
    expected = [GREYS[int(found.classes[label])] for label in found.labels]
    assert np.array_equal(found.images[:, 0, 0, 0], expected)
    # The classes are those of all splits, whichever is read.
    assert np.array_equal(datasets.load(f"vehiclex:{folder}", "val").labels, [1])
    assert datasets.load(f"vehiclex:{folder}", "test").classes == found.classes


def test_only_the_first_vehicles(folder):
    splits = vehiclex(folder, "`data`", first=2)
    assert splits["train"]().classes == ("1", "2")
    assert np.array_equal(splits["train"]().labels, [0, 0, 1])
    assert np.array_equal(splits["test"]().labels, [0])
    for wrong in (0, 4):
        with pytest.raises(DataError, match="has 3 vehicles; ask for 1 to 3"):
            vehiclex(folder, "`data`", first=wrong)


@pytest.mark.parametrize(
    "names", [("image_train", "image_query", "image_test"), ("sys_image_train", "val", "test")]
)
def test_folders_of_the_other_forms(tmp_path, names):
    for name in names:
        picture(tmp_path / name, 1, 0)
    assert sorted(vehiclex(tmp_path, "`data`")) == ["test", "train", "val"]


def test_what_is_not_vehiclex(tmp_path):
    with pytest.raises(DataError, match="holds no images of VehicleX"):
        datasets.load(f"vehiclex:{tmp_path}", "train")
    (tmp_path / "train").mkdir()
    PIL.Image.new("L", (4, 4)).save(tmp_path / "train" / "car.png")
    with pytest.raises(DataError, match="tells no vehicle"):
        datasets.load(f"vehiclex:{tmp_path}", "train")


def test_the_experiment_takes_the_first_vehicles_in_grey(tmp_path):
    for split in ("train", "val", "test"):
        for vehicle in range(1, VEHICLES + 3):
            picture(tmp_path / "vehiclex" / split, vehicle, 0)
    splits = read_splits(False, str(tmp_path))
    for name in ("train", "val", "test"):
        assert splits[name].images.shape == (VEHICLES, 32, 32, 1)
        assert splits[name].classes == tuple(str(number) for number in range(1, VEHICLES + 1))


def test_without_a_validation_split_each_class_gives_a_tenth():
    splits = read_splits(True, None)
    whole = datasets.load("digits", "train", images=300)
    assert len(splits["train"]) + len(splits["val"]) == 300
    for label in range(10):
        count = int(np.sum(whole.labels == label))
        assert np.sum(splits["val"].labels == label) == round(0.1 * count)
    both = np.concatenate([splits["train"].images, splits["val"].images])
    assert sorted(image.tobytes() for image in both) == sorted(image.tobytes() for image in whole.images)

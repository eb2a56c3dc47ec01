"""A model of grey images with named classes (the fixture ``named``), and folders of images on which it is right."""

from models.normalisation import Normalisation
from tests.support.data_files import write_folder

NAMES = ("ant", "bee", "cat")
NORMALISATION = Normalisation((0.5,), (0.25,))


def folder(path, named, names=NAMES, split="test"):
    """The images in folders of what the model answers, so that it is right on all; None has no folder."""
    _, images, answers = named
    rows = [row for row, answer in enumerate(answers) if names[answer] is not None]
    write_folder(path, {f"{split}/{names[answers[row]]}/{row:02}.png": images[row, ..., 0] for row in rows})
    return f"imagefolder:{path}", len(rows)

import configparser
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_wheel_holds_the_four_packages_and_no_tests(tmp_path):
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns(".*", "*.egg-info", "build", "demo-run", "__pycache__")
    shutil.copytree(ROOT, source, ignore=ignored)
    # The isolated build would install its backend anew; the one declared is in this environment.
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(source)],
        check=True,
        capture_output=True,
    )
    [wheel] = tmp_path.glob("evoprune-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {"engine", "models", "fitness", "experiments", "evoprune.py"} == {
        top for top in tops if "dist-info" not in top
    }
    for package in ("engine", "models", "fitness", "experiments"):
        expected = {str(path.relative_to(ROOT)) for path in (ROOT / package).rglob("*.py")}
        assert expected <= set(names)
    templates = {str(path.relative_to(ROOT)) for path in ROOT.glob("experiments/report/html/templates/*")}
    assert templates
    assert templates <= set(names)


def test_the_version_is_written_once():
    metadata = configparser.ConfigParser()
    metadata.read(ROOT / "setup.cfg")
    number = metadata["metadata"]["version"]
    assert version("evoprune") == number
    for package in ("engine", "models", "fitness", "experiments"):
        for path in (ROOT / package).rglob("*.py"):
            assert f'"{number}"' not in path.read_text(), path
    assert number in (ROOT / "CHANGELOG.md").read_text()

"""README's Python runs, and its commands and options exist."""

import re
from pathlib import Path

import click
import pytest

from experiments.commands import evoprune

README = (Path(__file__).parents[2] / "README.md").read_text()


@pytest.mark.slow
def test_the_python_snippets_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    snippets = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert snippets
    for snippet in snippets:
        names = {}
        exec(compile(snippet, "README.md", "exec"), names)
        assert names["trained"]["accuracy"] > 0.3
        assert names["measured"]["correct"] == names["found"]["held_out"]["correct"]
        assert names["measured"]["parameters"] == names["exported"]["parameters"]


def test_the_commands_and_options_exist():
    context = click.Context(evoprune)
    blocks = re.findall(r"```\n(.*?)```", README, re.DOTALL)
    lines = re.findall(r"^evoprune (\S+)(.*)$", "\n".join(blocks), re.MULTILINE)
    assert len(lines) >= 5
    for name, rest in lines:
        command = evoprune.get_command(context, name)
        assert command is not None, name
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known, (name, rest)
    table = re.findall(r"^\| `([a-z-]+)` \|", README, re.MULTILINE)
    assert sorted(table) == sorted(evoprune.list_commands(context))

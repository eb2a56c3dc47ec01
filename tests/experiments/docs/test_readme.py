"""The Python of the README runs, and the commands and options of README and docs/commands.md exist."""

import re
from pathlib import Path

import click
import pytest

from experiments.cli.commands import evoprune

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()
COMMANDS = (ROOT / "docs" / "commands.md").read_text()
API = sorted({*re.findall(r"\bevoprune\.([A-Za-z_]+)", README + COMMANDS)})


@pytest.mark.slow
def test_the_python_snippets_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    snippets = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert snippets
    for snippet in snippets:
        names = {}
        exec(compile(snippet, "README.md", "exec"), names)
        assert names["trained"].accuracy > 0.3
        held_out = names["found"].held_out
        assert names["measured"].correct == (held_out.result_correct or held_out.correct)
        assert names["measured"].parameters == names["exported"].parameters


def test_the_commands_and_options_exist():
    context = click.Context(evoprune)
    blocks = re.findall(r"```\n(.*?)```", README, re.DOTALL)
    lines = re.findall(r"^\$ evoprune (\S+)(.*)$", "\n".join(blocks), re.MULTILINE)
    assert len(lines) == 6
    for name, rest in lines:
        command = evoprune.get_command(context, name)
        assert command is not None, name
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known, (name, rest)
    table = COMMANDS.split("\n\n")[1]
    table = re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)
    assert sorted(table) == sorted(evoprune.list_commands(context))


def test_the_names_of_the_api_exist():
    import evoprune as api

    assert len(API) > 15
    assert set(API) <= set(api.__all__)

"""The command line in this process: its JSON result, or the one sentence with which it refuses."""

import json

from experiments.cli import main


def result_of(capsys, *arguments):
    """What the command prints with ``--json``."""
    capsys.readouterr()
    status = main.run([*map(str, arguments), "--json"])
    captured = capsys.readouterr()
    assert status == 0, captured.err
    return json.loads(captured.out)


def refused(capsys, arguments, *parts):
    """The sentence with which the command ends, with status 2, after the lines on its progress.

    All of ``parts`` are in the sentence.
    """
    capsys.readouterr()
    assert main.run(list(map(str, arguments))) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    *_, line = captured.err.strip().splitlines()
    assert line.startswith("evoprune: error: ")
    assert captured.err.count("evoprune: error: ") == 1
    for part in parts:
        assert part in line
    return line

"""Signals end a command with a sentence, wherever it is."""

import os
import subprocess
import sys

import pytest


def test_an_interruption_that_a_callback_drops_comes_once_more():
    """Python prints and forgets what is raised in a callback of the garbage collector, such as XLA's."""
    program = (
        "import os, signal, time, click\n"
        "from experiments.cli import main\n"
        "class Callback:\n"
        "    def __del__(self): os.kill(os.getpid(), signal.SIGTERM); time.sleep(0.01)\n"
        "@click.command()\n"
        "def wait():\n"
        "    callback = Callback()\n"
        "    del callback\n"
        "    time.sleep(60)\n"
        "main.main([], wait)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50)
    assert done.returncode == 130
    assert done.stderr.strip() == "evoprune: interrupted; start the command again."


def test_an_interruption_waits_for_the_end_of_an_import_and_not_for_that_of_the_work(tmp_path):
    """A KeyboardInterrupt while jaxlib is being loaded crashes the process."""
    (tmp_path / "slow.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(0.3)\nprint('loaded')\n"
    )
    program = (
        "import signal, time, click\n"
        "from experiments.cli import main\n"
        "@click.command()\n"
        "def work():\n"
        "    try:\n"
        "        import slow\n"
        "        time.sleep(60)\n"
        "    finally:\n"
        # As Ray does when it shuts down.
        "        signal.signal(signal.SIGTERM, signal.SIG_DFL)\n"
        "        time.sleep(0.3)\n"
        "        click.echo('cleaned up')\n"
        "main.main([], work)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=50
    )
    assert done.returncode == 130
    assert done.stdout.split("\n") == ["loaded", "cleaned up", ""]
    assert done.stderr.strip() == "evoprune: interrupted; start the command again."


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("ignored", [False, True])
def test_a_signal_during_the_start_ends_with_a_sentence_unless_ignored(name, ignored):
    program = (
        "import os, signal, sys\n"
        "from experiments.cli import entry\n"
        f"number = signal.{name}\n"
        f"signal.signal(number, signal.SIG_IGN if {ignored} else signal.SIG_DFL)\n"
        "class Killed:\n"
        "    def find_spec(self, *_): os.kill(os.getpid(), number)\n"
        "sys.meta_path.insert(0, Killed())\n"
        "sys.argv = ['evoprune', '--version']\n"
        "entry.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == (0 if ignored else 130)
    assert ("interrupted; the command had not begun" in done.stderr) == (not ignored)
    assert "Traceback" not in done.stderr

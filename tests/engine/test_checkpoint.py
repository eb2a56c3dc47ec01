import hashlib
import json
import os

import numpy as np
import pytest

from engine import checkpoint
from engine.errors import CheckpointError
from tests.engine.synthetic import LAYOUT, make_search


@pytest.fixture(scope="module")
def states():
    search = make_search()
    found = [search.start()]
    for _ in range(4):
        found.append(search.step(found[-1]))
    return found


def test_the_last_few_are_kept_and_the_newest_is_read(tmp_path, states):
    for state in states:
        checkpoint.save(tmp_path, state, LAYOUT, "id")
    names = [path.name for path in checkpoint.list_checkpoints(tmp_path)]
    assert names == [f"generation-{generation:08d}.ckpt" for generation in (2, 3, 4)]
    found = checkpoint.load_latest(tmp_path, pytest.fail)
    assert found.state.generation == 4
    assert found.layout == LAYOUT
    assert found.identity == "id"
    assert found.state.best.to_json() == states[4].best.to_json()


def test_no_damage_is_accepted(tmp_path, states):
    path = checkpoint.save(tmp_path, states[0], LAYOUT, "id")
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    places = {0, 10, len(checkpoint.MAGIC) + 5, len(content) - 1, *rng.integers(0, len(content), 150).tolist()}
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(damaged))
        with pytest.raises(CheckpointError, match="damaged"):
            checkpoint.read(path)
    for length in {0, 1, 90, len(content) - 1, *rng.integers(0, len(content), 50).tolist()}:
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match="damaged"):
            checkpoint.read(path)


def test_a_damaged_one_is_named_and_the_one_before_used(tmp_path, states):
    first = checkpoint.save(tmp_path, states[0], LAYOUT, "id")
    second = checkpoint.save(tmp_path, states[1], LAYOUT, "id")
    second.write_bytes(second.read_bytes()[: second.stat().st_size // 2])
    warnings = []
    assert checkpoint.load_latest(tmp_path, warnings.append).state.generation == 0
    assert len(warnings) == 1
    assert str(second) in warnings[0]
    first.write_bytes(b"")
    with pytest.raises(CheckpointError, match="every checkpoint"):
        checkpoint.load_latest(tmp_path, warnings.append)


def test_none_before_the_first(tmp_path):
    assert checkpoint.load_latest(tmp_path / "nothing", pytest.fail) is None


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_earlier_checkpoints_and_no_litter(tmp_path, states, monkeypatch, call):
    checkpoint.save(tmp_path, states[0], LAYOUT, "id")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(tmp_path, states[1], LAYOUT, "id")
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["generation-00000000.ckpt"]
    assert checkpoint.load_latest(tmp_path, pytest.fail).state.generation == 0


def test_a_checkpoint_from_before_stopping_counts_none_stopped(tmp_path, states):
    path = checkpoint.save(tmp_path, states[4], LAYOUT, "id")
    state = checkpoint.read(path).state
    assert state.stopped == states[4].stopped > 0
    payload = path.read_bytes()[len(checkpoint.MAGIC) + 65 :]
    length = int.from_bytes(payload[:8], "little")
    header = json.loads(payload[8 : 8 + length])
    inner = json.loads(header["__metadata__"]["state"])
    del inner["stopped"]
    header["__metadata__"]["state"] = json.dumps(inner)
    rewritten = json.dumps(header).encode()
    old = len(rewritten).to_bytes(8, "little") + rewritten + payload[8 + length :]
    path.write_bytes(checkpoint.MAGIC + hashlib.sha256(old).hexdigest().encode() + b"\n" + old)
    assert checkpoint.read(path).state.stopped == 0


def test_equal_states_have_equal_bytes(tmp_path, states):
    first = checkpoint.save(tmp_path, states[3], LAYOUT, "id").read_bytes()
    assert checkpoint.save(tmp_path, states[3], LAYOUT, "id").read_bytes() == first

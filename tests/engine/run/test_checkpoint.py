import contextlib
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import CheckpointError
from engine.run import checkpoint
from engine.run.codec import decode, encode
from engine.stores.local import LocalStore
from engine.stores.locations import open_store
from tests.engine.support.synthetic import LAYOUT, advance, make_search

HEAD = len(checkpoint.MAGIC) + 65


@pytest.fixture(scope="module")
def states():
    """Copies of the states, because a step changes the archive and the generators."""
    search = make_search()
    state = search.start()
    found = [copied(state)]
    advance(search, state, 4, lambda state: found.append(copied(state)))
    return found


def copied(state):
    return decode(encode(state, LAYOUT, "id"))[0]


def signed(payload):
    """A checkpoint with a matching checksum and any payload."""
    return checkpoint.MAGIC + hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload


def test_the_last_few_are_kept_and_the_newest_is_read(store, states):
    for state in states:
        checkpoint.save(store, state, LAYOUT, "id")
    names = [f"checkpoints/generation-{generation:08d}.ckpt" for generation in (2, 3, 4)]
    assert checkpoint.list_checkpoints(store) == store.names("checkpoints") == names
    found = checkpoint.load_latest(store, pytest.fail)
    assert found.state.generation == 4
    assert found.layout == LAYOUT
    assert found.identity == "id"
    assert found.state.best.to_json() == states[4].best.to_json()


def test_equal_states_have_equal_bytes_in_every_store(tmp_path, states):
    contents = set()
    for location in (tmp_path / "one", tmp_path / "two", "memory://equal-states/run"):
        store = open_store(location)
        contents.add(store.read(checkpoint.save(store, states[3], LAYOUT, "id")))
    assert len(contents) == 1


def test_every_byte_flipped_and_every_truncation_is_named_and_the_one_before_used(store, put, states):
    checkpoint.save(store, states[0], LAYOUT, "id")
    newest = checkpoint.save(store, states[1], LAYOUT, "id")
    content = store.read(newest)
    rng = np.random.default_rng(0)
    flipped = []
    # Every byte where reading is fast; the store makes no difference to the checksum.
    for place in range(0, len(content), 1 if "://" in store.location else 16):
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        flipped.append(bytes(damaged))
    cut = [content[:length] for length in range(0, len(content), 7 if "://" in store.location else 100)]
    for damaged in [*flipped, *cut, content + b"\0", content + content]:
        put(newest, damaged)
        warnings = []
        found = checkpoint.load_latest(store, warnings.append)
        assert found.state.generation == 0
        [warning] = warnings
        assert warning.startswith(f"{store.full_name(newest)} is damaged")
    put(newest, content)
    assert checkpoint.load_latest(store, pytest.fail).state.generation == 1


def test_where_all_are_damaged_nothing_is_used(store, put, states):
    for state in states[:2]:
        put(checkpoint.save(store, state, LAYOUT, "id"), b"")
    warnings = []
    with pytest.raises(CheckpointError, match="every checkpoint"):
        checkpoint.load_latest(store, warnings.append)
    assert len(warnings) == 2


@given(data=st.data())
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes_with_a_matching_checksum_never_give_a_traceback(states, data):
    """Anyone can write a checksum: damage is reported or harmless, never a traceback."""
    store = open_store("memory://signed/run")
    payload = bytearray(encode(states[2], LAYOUT, "id"))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(payload) - 1))
        payload[place] = data.draw(st.integers(0, 255))
    payload = payload[: data.draw(st.integers(0, len(payload)) | st.just(len(payload)))]
    store.write("checkpoints/generation-00000002.ckpt", signed(bytes(payload)))
    with contextlib.suppress(CheckpointError):
        checkpoint.read(store, "checkpoints/generation-00000002.ckpt")


HEADERS = {
    "no generation": lambda header: header.pop("generation"),
    "a generation of text": lambda header: header.update(generation="2"),
    "another generation": lambda header: header.update(generation=1),
    "a counter of text": lambda header: header.update(evaluations="7"),
    "a figure of text": lambda header: header["best"]["figures"].update(accuracy_drop="low"),
    "no figures": lambda header: header["best"].update(figures=None),
    "no best": lambda header: header.update(best=None),
    "a best of lists": lambda header: header.update(best=[]),
    "a huge layer": lambda header: header["layout"].update(sizes=[5, 1, 10**15]),
    "an endless layer": lambda header: header["layout"].update(sizes=[5, 1, 10**400]),
    "layers of text": lambda header: header["layout"].update(sizes=["5", "1", "14"]),
    "another generator": lambda header: header["islands"][0]["rng"].update(bit_generator="MT19937"),
    "a generator out of range": lambda header: header["islands"][0]["rng"]["state"].update(state=-1),
}


@pytest.mark.parametrize("change", HEADERS.values(), ids=HEADERS)
def test_a_forged_header_is_refused(states, change):
    store = open_store("memory://headers/run")
    payload = encode(states[2], LAYOUT, "id")
    store.write("checkpoints/generation-00000002.ckpt", signed(with_header(payload, change)))
    with pytest.raises(CheckpointError, match="was not written by this version"):
        checkpoint.read(store, "checkpoints/generation-00000002.ckpt")


def with_header(payload, change):
    length = int.from_bytes(payload[:8], "little")
    header = json.loads(payload[8 : 8 + length])
    inner = json.loads(header["__metadata__"]["state"])
    change(inner)
    header["__metadata__"]["state"] = json.dumps(inner)
    rewritten = json.dumps(header).encode()
    return len(rewritten).to_bytes(8, "little") + rewritten + payload[8 + length :]


def test_none_before_the_first(store):
    assert checkpoint.load_latest(store, pytest.fail) is None


@pytest.mark.parametrize(
    "name",
    [
        "generation-1.ckpt",
        "generation-000000001.ckpt",
        "generation-00000001.ckpt.tmp",
        "generation-0000000\u0661.ckpt",
    ],
)
def test_other_names_are_no_checkpoints(store, put, states, name):
    checkpoint.save(store, states[0], LAYOUT, "id")
    place = store.full_name("checkpoints/x")[:-1] + name
    if "://" not in place:
        Path(place).write_bytes(b"")
        assert len(checkpoint.list_checkpoints(store)) == 1
    assert checkpoint.load_latest(store, pytest.fail).state.generation == 0


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_earlier_checkpoints_and_no_litter(tmp_path, states, monkeypatch, call):
    store = LocalStore(tmp_path)
    checkpoint.save(store, states[0], LAYOUT, "id")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(store, states[1], LAYOUT, "id")
    monkeypatch.undo()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["generation-00000000.ckpt"]
    assert checkpoint.load_latest(store, pytest.fail).state.generation == 0

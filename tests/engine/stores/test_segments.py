from hypothesis import given
from hypothesis import strategies as st

from engine.stores.segments import SegmentedLog


class Objects:
    def __init__(self):
        self.held = {
            "run.json": b"{}",
            "journal.txt": b"x",
            "journal.1.jsonl": b"x",
            "myjournal.000001.jsonl": b"x",
        }
        self.written = []

    def read(self, name):
        if name not in self.held:
            raise FileNotFoundError(name)
        return self.held[name]

    def write(self, name, content):
        self.written.append(len(content))
        self.held[name] = content

    def names(self, folder):
        assert folder == ""
        return sorted(self.held)

    def remove(self, name):
        self.held.pop(name, None)


lines = st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"") + b"\n")


@given(st.lists(st.one_of(lines, st.just("reopen"), st.floats(0, 1)), max_size=40), st.integers(1, 40))
def test_a_segmented_log_is_a_file_that_is_appended_to_and_cut(actions, limit):
    objects, model = Objects(), b""
    log = SegmentedLog(objects, "journal.jsonl", limit)
    for action in actions:
        if action == "reopen":
            log = SegmentedLog(objects, "journal.jsonl", limit)
        elif isinstance(action, float):
            model = model[: round(action * len(model))]
            log.cut(len(model))
        else:
            model += action
            log.append(action)
            assert objects.written[-1] <= max(limit, len(action))
        assert log.read() == SegmentedLog(objects, "journal.jsonl", limit).read() == model
    assert len(Objects().held.keys() & objects.held.keys()) == 4


@given(st.lists(lines, min_size=1, max_size=20), st.floats(0, 1), st.integers(0, 30))
def test_an_interrupted_cut_leaves_a_prefix_of_the_log(content, share, calls):
    class Dies(Objects):
        left = 10**9

        def _call(self):
            if self.left == 0:
                raise InterruptedError
            self.left -= 1

        def write(self, name, content):
            self._call()
            super().write(name, content)

        def remove(self, name):
            self._call()
            super().remove(name)

    objects = Dies()
    log = SegmentedLog(objects, "journal.jsonl", 20)
    for line in content:
        log.append(line)
    whole = b"".join(content)
    size = round(share * len(whole))
    objects.left = calls
    try:
        log.cut(size)
    except InterruptedError:
        found = log.read()
        assert whole.startswith(found)
        assert len(found) >= size
    else:
        assert log.read() == whole[:size]


def test_a_line_costs_no_more_than_a_segment_however_long_the_log_is():
    objects = Objects()
    log = SegmentedLog(objects, "journal.jsonl")
    for _ in range(10_000):
        log.append(b"x" * 599 + b"\n")
    assert max(objects.written) <= 256 * 1024
    assert sum(objects.written) < 1.4e9
    assert len(log.read()) == 6_000_000
    assert len(objects.held) < 30

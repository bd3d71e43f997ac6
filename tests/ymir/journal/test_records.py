import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ymir.journal.records import Journal, JournalError, JournalWriter

POSITIONS = 50
entries = st.lists(st.tuples(st.integers(0, POSITIONS - 1), st.integers(0, 2**31), st.binary(max_size=40)), max_size=4)
units = st.dictionaries(st.integers(0, 2**40), entries, max_size=5)


def write(path, units):
    with JournalWriter(path) as writer:
        for number, records in units.items():
            writer.append(number, records)
    return path


@settings(deadline=None)
@given(units, units)
def test_records_of_several_processes_are_found_by_candidate_and_kind(tmp_path_factory, first, second):
    folder = tmp_path_factory.mktemp("journal")
    files = [write(folder / name, written) for name, written in (("0", first), ("1", second))]
    for check_payloads in (False, True):
        with Journal(files, POSITIONS, check_payloads=check_payloads) as journal:
            assert list(journal.units) == sorted({*first, *second})
            expected = {
                (p, kind): payload for part in (first, second) for unit in part.values() for p, kind, payload in unit
            }
            for (position, kind), payload in expected.items():
                assert (position, kind) in journal
                assert journal.read(position, kind) == payload
            for kind in {kind for _, kind in expected}:
                assert list(journal.positions(kind)) == sorted(p for p, other in expected if other == kind)


def test_of_two_that_hold_a_unit_the_last_file_counts(tmp_path):
    files = [write(tmp_path / str(n), {3: [(7, 1, payload)]}) for n, payload in enumerate((b"old", b"new"))]
    with Journal(files, POSITIONS) as journal:
        assert journal.read(7, 1) == b"new"


@settings(deadline=None)
@given(st.data())
def test_wherever_a_file_is_cut_whole_units_are_left(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("journal") / "0"
    ends, written = [], {}
    with JournalWriter(path) as writer:
        for number in range(4):
            written[number] = [(2 * number, 0, bytes(number)), (2 * number + 1, 0, b"x" * number), (number, 1, b"")]
            writer.append(number, written[number])
            ends.append(path.stat().st_size)
    content = path.read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:cut])
    whole = [number for number in range(4) if ends[number] <= cut]
    with Journal([path], POSITIONS) as journal:
        assert list(journal.units) == whole
        assert list(journal.positions(0)) == list(range(2 * len(whole)))
        assert list(journal.positions(1)) == whole


def test_a_unit_is_readable_as_soon_as_it_is_written(tmp_path):
    with JournalWriter(tmp_path / "0") as writer:
        writer.append(0, [(0, 1, b"first")])
        with Journal([tmp_path / "0"], POSITIONS) as journal:
            assert journal.read(0, 1) == b"first"


def test_an_attempt_never_writes_into_the_file_of_another(tmp_path):
    write(tmp_path / "0", {0: []})
    with pytest.raises(FileExistsError):
        JournalWriter(tmp_path / "0")


def flip(path, offset):
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


def test_a_damaged_payload_is_found_while_scanning_and_while_reading(tmp_path):
    path = write(tmp_path / "0", {0: [(0, 1, b"whole")], 1: [(1, 1, b"damaged")], 2: [(2, 1, b"after")]})
    flip(path, path.read_bytes().index(b"damaged"))
    with Journal([path], POSITIONS, check_payloads=True) as journal:
        assert list(journal.units) == [0]
        with pytest.raises(KeyError):
            journal.read(1, 1)
    with Journal([path], POSITIONS) as journal:
        assert journal.read(2, 1) == b"after"
        with pytest.raises(JournalError, match="damaged"):
            journal.read(1, 1)


def test_every_damaged_bit_of_a_header_ends_the_reading(tmp_path):
    path = write(tmp_path / "0", {0: [(0, 1, b"a")]})
    header = path.read_bytes().index(b"a")
    for offset in range(header):
        flip(path, offset)
        with Journal([path], POSITIONS) as journal:
            assert len(journal.units) == 0
        flip(path, offset)


def test_records_of_positions_that_do_not_exist_are_foreign(tmp_path):
    path = write(tmp_path / "0", {0: [(0, 1, b"a")], 1: [(POSITIONS, 1, b"b")], 2: [(2, 1, b"c")]})
    with Journal([path], POSITIONS) as journal:
        assert list(journal.units) == [0]


def test_a_file_that_is_no_journal_holds_nothing(tmp_path):
    (tmp_path / "0").write_bytes(b"something else" * 10)
    with Journal([tmp_path / "0"], POSITIONS) as journal:
        assert len(journal.units) == 0


def test_the_index_takes_some_twenty_bytes_a_record(tmp_path):
    count = 20_000
    path = write(tmp_path / "0", {n: [(n, 0, b"12345678"), (n, 1, b"123")] for n in range(count)})
    tracemalloc.start()
    journal = Journal([path], count)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 2 * 20 * count + 9 * count
    assert peak < held + 100 * count
    assert journal.read(count - 1, 0) == b"12345678"
    assert np.array_equal(journal.units, np.arange(count))
    journal.close()

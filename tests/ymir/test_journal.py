import pytest
from hypothesis import given
from hypothesis import strategies as st

from ymir.journal import Journal, JournalWriter

records = st.lists(st.tuples(st.integers(0, 2**40), st.integers(0, 2**31), st.binary(max_size=40)), max_size=8)


@given(records, records)
def test_records_of_several_processes_are_found_by_candidate_and_kind(tmp_path_factory, first, second):
    folder = tmp_path_factory.mktemp("journal")
    for name, written in (("0", first), ("1", second)):
        with JournalWriter(folder / name) as writer:
            for record in written:
                writer.append(*record)
    journal = Journal([folder / "0", folder / "1"])
    expected = {(position, kind): payload for position, kind, payload in first + second}
    for (position, kind), payload in expected.items():
        assert (position, kind) in journal
        assert journal.read(position, kind) == payload


@pytest.mark.parametrize("lost", [1, 4, 20])
def test_a_torn_last_record_is_dropped(tmp_path, lost):
    path = tmp_path / "0"
    with JournalWriter(path) as writer:
        writer.append(0, 1, b"whole")
        writer.append(1, 1, b"torn")
    path.write_bytes(path.read_bytes()[:-lost])
    journal = Journal([path])
    assert journal.read(0, 1) == b"whole"
    assert (1, 1) not in journal
    with pytest.raises(KeyError):
        journal.read(1, 1)


def test_a_damaged_record_ends_the_reading(tmp_path):
    path = tmp_path / "0"
    with JournalWriter(path) as writer:
        writer.append(0, 1, b"whole")
        writer.append(1, 1, b"damaged")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert (1, 1) not in Journal([path])

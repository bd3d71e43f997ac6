import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ymir.journal.fingerprint import fingerprint

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(blacklist_categories=("Cs",)), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.dictionaries(st.text("abc", max_size=2), values, max_size=4))
def test_the_order_of_the_parts_does_not_matter(parts):
    assert fingerprint(parts) == fingerprint(dict(reversed(list(parts.items()))))
    assert len(fingerprint(parts)) == 64


def typed(value):
    """A value whose equality tells True from 1."""
    if isinstance(value, dict):
        return {key: typed(inner) for key, inner in value.items()}
    return [typed(inner) for inner in value] if isinstance(value, list) else (type(value), value)


@settings(deadline=None)
@given(values, values)
def test_other_values_have_another_fingerprint(one, other):
    assert (fingerprint({"a": one}) == fingerprint({"a": other})) == (typed(one) == typed(other))


def test_parts_do_not_run_into_each_other():
    assert fingerprint({"a": b"bc"}) != fingerprint({"ab": b"c"})
    assert fingerprint({"a": b"1"}) != fingerprint({"a": 1})


def test_a_file_counts_by_its_content_alone(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(b"x" * (1 << 20) + b"y")
    first = fingerprint({"weights": tmp_path / "one"})
    assert first == fingerprint({"weights": tmp_path / "two"})
    (tmp_path / "two").write_bytes(b"x" * (1 << 20) + b"z")
    assert first != fingerprint({"weights": tmp_path / "two"})
    with pytest.raises(OSError):
        fingerprint({"weights": tmp_path / "none"})

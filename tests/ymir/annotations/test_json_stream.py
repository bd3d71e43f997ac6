import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ymir.annotations import json_stream
from ymir.annotations.json_stream import JsonError, NotAnObject, read_lists

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)


def read(data):
    """What read_lists says, with every element checked against the bytes it names."""
    found = {}

    def take(key, element):
        assert json.loads(data[element.start : element.end].decode("utf-8")) == element.value
        found.setdefault(key, []).append(element.value)

    return read_lists(io.BytesIO(data), take), found


@settings(max_examples=200)
@given(
    st.dictionaries(st.text(max_size=5), values, max_size=5),
    st.booleans(),
    st.integers(1, 40),
    st.sampled_from([None, 2]),
)
def test_what_is_read_is_what_json_reads_whatever_the_size_of_the_pieces(content, escaped, piece, indent):
    data = json.dumps(content, ensure_ascii=escaped, indent=indent).encode("utf-8", "surrogatepass")
    usual, json_stream._CHUNK = json_stream._CHUNK, piece
    try:
        kinds, found = read(data)
    finally:
        json_stream._CHUNK = usual
    assert set(kinds) == set(content)
    for key, value in content.items():
        assert (kinds[key] == "list") == isinstance(value, list)
        if isinstance(value, list):
            assert found.get(key, []) == value


@settings(max_examples=300)
@given(st.dictionaries(st.text(max_size=3), values, min_size=1, max_size=3), st.data())
def test_a_damaged_text_is_refused_or_still_json(content, choose):
    text = json.dumps(content)
    at = choose.draw(st.integers(0, len(text) - 1))
    text = text[:at] + choose.draw(st.sampled_from(["", "x", "]", "}", ",", '"', "1"])) + text[at + 1 :]
    try:
        expected = json.loads(text)
    except ValueError:
        expected = None
    try:
        kinds, _ = read(text.encode())
    except JsonError:
        assert not isinstance(expected, dict)
    else:
        assert set(kinds) == set(expected)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "Expecting value at byte 0"),
        (b"  ", "Expecting value at byte"),
        (b"{", "Expecting value at byte 1"),
        (b'{"a": [1, 2', "',' is expected at byte 11, where it ends"),
        (b'{"a": [1 2]}', "',' is expected at byte 9, where '2'"),
        (b'{"a": [1,, 2]}', "Expecting value at byte 9"),
        (b'{"a": [1,]}', "Expecting value at byte 9"),
        (b'{"a": 1,}', "Expecting value at byte 8"),
        (b'{"a" 1}', "':' is expected at byte 5"),
        (b"{1: 2}", "a name is expected"),
        (b'{"a": 1} x', "more follows after its end, at byte 9"),
        (b'{"a": ["\xff"]}', "not UTF-8"),
        (b'{"a": [' + b"[" * 100_000, "nested too deeply"),
        (b"\xff\xfe{\x00}\x00", "Expecting value"),
    ],
)
def test_a_fault_is_named_with_its_byte(data, message):
    with pytest.raises(JsonError, match=message):
        read_lists(io.BytesIO(data), lambda key, element: None)


@pytest.mark.parametrize(("data", "kind"), [(b"[]", "list"), (b"5", "number"), (b'"x"', "text"), (b"null", "nothing")])
def test_something_else_than_an_object(data, kind):
    with pytest.raises(NotAnObject, match=kind):
        read_lists(io.BytesIO(data), lambda key, element: None)


def test_a_fault_near_the_beginning_does_not_make_the_rest_be_read():
    stream = io.BytesIO(b'{"a": [x' + b" " * 50_000_000)
    with pytest.raises(JsonError):
        read_lists(stream, lambda key, element: None)
    assert stream.tell() < 5_000_000

import os
import pickle
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ymir.text_list import TextList, repeated

texts = st.lists(st.text(st.characters(blacklist_categories=("Cs",)), max_size=6), max_size=12)


@settings(deadline=None)
@given(texts)
def test_it_is_the_list_that_it_was_made_of(expected):
    found = TextList(iter(expected))
    assert list(found) == expected and found == expected and len(found) == len(expected)
    assert [found[-number - 1] for number in range(len(found))] == expected[::-1]
    assert found[1:5:2] == expected[1:5:2]
    assert pickle.loads(pickle.dumps(found)) == expected
    assert found != [*expected, "more"]
    for beyond in (len(expected), -len(expected) - 1):
        with pytest.raises(IndexError):
            found[beyond]


@settings(deadline=None)
@given(st.lists(st.text("ab/", max_size=3), max_size=12))
def test_the_first_repeated_key_is_found(items):
    keys = [os.path.basename(item) for item in items]
    second = next((n for n, key in enumerate(keys) if key in keys[:n]), None)
    expected = None if second is None else (keys.index(keys[second]), second)
    assert repeated(items, os.path.basename) == expected


def test_memory_is_little_more_than_the_text():
    count = 20_000
    tracemalloc.start()
    paths = TextList(f"/in/assets/{number:012d}.jpg" for number in range(count))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < count * (len(paths[0]) + 8) * 1.1

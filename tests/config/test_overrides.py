"""Overrides as people type them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg.config import Config, parse_overrides, split_overrides
from mmseg.errors import ConfigError

VALUES = {
    "3": 3,
    "-3": -3,
    "0.02": 0.02,
    "1e-3": 1e-3,
    "true": True,
    "False": False,
    "TRUE": True,
    "None": None,
    "none": "none",
    "": "",
    "abc": "abc",
    "a=b=c": "a=b=c",
    "path/to/x.py": "path/to/x.py",
    "https://x.y/z?a=1": "https://x.y/z?a=1",
    "1,2,3": [1, 2, 3],
    "1, 2.5 ,x": [1, 2.5, "x"],
    "1,": [1],
    "[1,2]": [1, 2],
    "[]": [],
    "()": (),
    "(1,)": (1,),
    "(1)": (1,),
    "(480, 360)": (480, 360),
    "[(1,2),(3,4)]": [(1, 2), (3, 4)],
    "(1,2),(3,4)": [(1, 2), (3, 4)],
    "[[],[a,'b c']]": [[], ["a", "b c"]],
    "'a b'": "a b",
    '"1,2"': "1,2",
    "'1'": "1",
    "'true'": "true",
    '"[1,2]"': [1, 2],
    "\"[('a','b')]\"": [("a", "b")],
    "'a','b,c'": ["a", "b,c"],
    "it's": "it's",
    "f(x)": "f(x)",
    "(1)(2)": "(1)(2)",
    "{'a': 1, 'b': [1, (2,)]}": {"a": 1, "b": [1, (2,)]},
    "dict(a=1, b=dict(c='x'))": {"a": 1, "b": {"c": "x"}},
    "[dict(type='A'), {'type': 'B'}]": [{"type": "A"}, {"type": "B"}],
    "{'a': 'x,y)'}": {"a": "x,y)"},
    "语": "语",
}


@pytest.mark.parametrize("text", VALUES)
def test_values(text):
    value = parse_overrides([f"a.b={text}"])["a.b"]
    assert value == VALUES[text] and repr(value) == repr(VALUES[text])


def test_several_with_the_last_one_winning():
    assert parse_overrides(["a=1", "b.0.c=x", "a=2"]) == {"a": 2, "b.0.c": "x"}
    assert parse_overrides([]) == {}


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "",
        "=1",
        " =1",
        "a..b=1",
        ".a=1",
        "a.=1",
        "a b=1",
        "a=(1",
        "a=1)",
        "a=[1,(2]",
        "a='b",
        'a=["x]',
        "a={1,2}",
        "a={1}",
    ]
    + [
        "a={'b': c}",
        "a=dict(b=open('x'))",
        "a={'b': ().__class__}",
        "a={'b': {{fileBasename}}}",
        "a={'b': 9**9**9}",
        "a=dict(1",
    ]
    + ["a=" + "(" * 500 + ")" * 500, "a=" + "{'a':" * 500 + "1" + "}" * 500],
)
def test_bad_forms_show_the_text(text):
    with pytest.raises(ConfigError) as error:
        parse_overrides([text])
    assert text[:1] in str(error.value) and len(str(error.value)) < 500


def test_split():
    text = (
        """  optimizer.lr=0.02 data.train.pipeline.2.img_scale=(480, 360)\ta="b c"\n b=[(1, 2), {'x': ' ('}] c=it's """
    )
    assert split_overrides(text) == [
        "optimizer.lr=0.02",
        "data.train.pipeline.2.img_scale=(480, 360)",
        'a="b c"',
        "b=[(1, 2), {'x': ' ('}]",
        "c=it's",
    ]
    assert split_overrides("") == split_overrides(" \n") == []


@pytest.mark.parametrize("text", ["a=(1 b=2", "a=1) b=2", "a='b c", 'a="b', "a=[1, 2) b=3"])
def test_split_refuses_what_does_not_match(text):
    with pytest.raises(ConfigError) as error:
        split_overrides(text)
    assert text in str(error.value)


def test_from_typed_text_to_config():
    cfg = Config(dict(optimizer=dict(lr=0.1), pipeline=[dict(type="Resize", img_scale=(1, 2))]))
    cfg.merge_from_dict(parse_overrides(split_overrides("optimizer.lr=0.02 pipeline.0.img_scale=(480, 360)")))
    assert cfg == dict(optimizer=dict(lr=0.02), pipeline=[dict(type="Resize", img_scale=(480, 360))])


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text("abc .:/=-_,'語", max_size=8).map(lambda s: s.replace("'", "")),
)
values = st.recursive(
    scalars, lambda inner: st.one_of(st.lists(inner, max_size=4), st.lists(inner, max_size=4).map(tuple))
)


@settings(max_examples=200, deadline=None)
@given(values)
def test_pythons_own_notation_of_nested_lists_is_understood(value):
    assert parse_overrides([f"a={value!r}"]) == {"a": value}
    assert split_overrides(f"a={value!r} b=1") == [f"a={value!r}", "b=1"]


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=40), st.text("ab=.,()[]{}'\" 1\n", max_size=40)))
def test_any_text_is_understood_or_refused(text):
    for parse in (split_overrides, lambda text: parse_overrides([text]), lambda text: parse_overrides([f"a={text}"])):
        try:
            parse(text)
        except ConfigError as error:
            assert str(error)

"""What is written reads back equal, and looks like a config that a person wrote."""

import keyword
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg.config import Config
from mmseg.errors import ConfigError

texts = st.one_of(
    st.text(max_size=12),
    st.text("'\"\\\n\r\t{}%é语\u2028\U0001f600 ab", max_size=12),
    st.sampled_from(
        ["{{ fileBasename }}", "{{_base_.x}}", "a{{{_base_.x.y}}}", "\\{{fileDirname}}", "{{{{ fileExtname }}}}"]
    ),
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(2**300), 2**300), st.floats(allow_nan=False), texts
)
keys = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["type", "class", "None", "a b", "a-b", "_a", "__debug__", "ﬁ", "0", "é", "dict", "lambda"]),
    st.integers(),
    st.booleans(),
    st.none(),
    st.floats(allow_nan=False),
    st.tuples(st.integers(), st.text(max_size=3)),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.lists(inner, max_size=5).map(tuple),
        st.dictionaries(keys.filter(lambda key: key != "_delete_"), inner, max_size=5),
        st.sets(st.integers() | st.text(max_size=4), max_size=4),
    ),
    max_leaves=25,
)
names = st.from_regex(r"[a-z][a-z0-9_]{0,40}", fullmatch=True).filter(
    lambda name: name.isidentifier() and not keyword.iskeyword(name) and name not in ("filename", "text", "pretty_text")
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(names, values, max_size=5))
def test_text_reads_back_equal(content):
    cfg = Config(content)
    again = Config.fromstring(cfg.pretty_text)
    assert again == cfg
    assert repr(again.to_dict()) == repr(cfg.to_dict()) or "{" in cfg.pretty_text  # also types; sets have no order
    assert again.pretty_text == cfg.pretty_text


def test_file_reads_back_equal_and_leaves_nothing_else(tmp_path):
    cfg = Config(
        dict(
            a=[1, "é\U0001f600\n"],
            b=(),
            c=dict(),
            d=(1,),
            e={1: {}, "x y": None},
            f=set(),
            g={3, 1},
            h=range(3),
            i=-0.0,
        )
    )
    file = tmp_path / "new" / "cfg.py"
    for _ in range(2):  # makes the folder, then replaces the file
        cfg.dump(file)
        assert Config.fromfile(file) == cfg
        assert os.listdir(file.parent) == ["cfg.py"]
    assert file.stat().st_mode & 0o044 == 0o044
    assert b"\xc3\xa9" in file.read_bytes()


def test_infinite_and_undefined_numbers():
    text = Config(dict(a=[float("inf"), float("-inf"), float("nan")])).pretty_text
    assert text == "a = [float('inf'), float('-inf'), float('nan')]\n"
    a = Config.fromstring(text).a
    assert a[:2] == [float("inf"), float("-inf")] and a[2] != a[2]


def test_layout():
    cfg = Config(
        dict(
            model=dict(
                type="EncoderDecoder",
                backbone=dict(type="FastSCNN", channels=(32, 48), norm_cfg=dict(type="BN")),
                d={"a b": 1},
            ),
            classes=[f"class {i:02}" for i in range(10)],
            one=(1,),
            empty=[],
        )
    )
    assert cfg.pretty_text == (
        "model = dict(\n"
        "    type='EncoderDecoder',\n"
        "    backbone=dict(type='FastSCNN', channels=(32, 48), norm_cfg=dict(type='BN')),\n"
        "    d={'a b': 1},\n"
        ")\n"
        "classes = [\n"
        "    'class 00', 'class 01', 'class 02', 'class 03', 'class 04', 'class 05', 'class 06', 'class 07',\n"
        "    'class 08', 'class 09',\n"
        "]\n"
        "one = (1,)\n"
        "empty = []\n"
    )
    namespace = {}
    exec(cfg.pretty_text, namespace)  # it is Python too
    assert {key: value for key, value in namespace.items() if key != "__builtins__"} == cfg


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


def test_deep_values_read_back_or_are_refused():
    cfg = Config(dict(a=nested(60)))
    assert Config.fromstring(cfg.pretty_text) == cfg
    with pytest.raises(ConfigError, match="'a.*nested too deeply"):
        _ = Config(dict(a=nested(70))).pretty_text


@pytest.mark.parametrize(
    "content, message",
    [
        ({"a b": 1}, "'a b'"),
        ({"class": 1}, "'class'"),
        ({"__a": 1}, "'__a'"),
        ({"ﬁ": 1}, "normalises"),
        ({3: 1}, "3"),
        ({"_base_": "x.py"}, "'_base_'"),
        ({"custom_imports": {"imports": "x"}}, "'custom_imports'"),
        ({"a": {"_delete_": True}}, "'_delete_'"),
        ({"a": [{"b": object()}]}, "'a.0.b'.*object"),
        ({"a": b"x"}, "bytes"),
        ({"a": 1 << 5000}, "'a'.*too large"),
    ],
)
def test_what_cannot_be_written_is_refused_and_the_old_file_stays(content, message, tmp_path):
    file = tmp_path / "cfg.py"
    file.write_text("old = 1\n")
    with pytest.raises(ConfigError, match=message):
        Config(content).dump(file)
    assert file.read_text() == "old = 1\n" and os.listdir(tmp_path) == ["cfg.py"]


def test_other_suffixes_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"a\.json"):
        Config().dump(tmp_path / "a.json")

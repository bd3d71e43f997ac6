"""Bases, references and file kinds, with the meaning they have in mmcv 1.6."""

import ast
import json
import sys
from pathlib import Path

import pytest

from mmseg.config import Config
from mmseg.errors import ConfigError


def write(folder: Path, **files: str) -> Path:
    """Write each file (`a` as a.py, `b_json` as b.json) and return the folder."""
    for name, text in files.items():
        stem, _, suffix = name.partition("_")
        (folder / f"{stem}.{suffix or 'py'}").write_text(text, encoding="utf-8")
    return folder


def test_child_goes_over_its_bases_in_their_order(tmp_path):
    (tmp_path / "sub").mkdir()
    write(tmp_path, a="x = dict(p=1, q=dict(r=2, s=3), t=[1, 2])\nz = 0\n", b="y = (1, 2)\n")
    write(
        tmp_path / "sub",
        c="_base_ = ['../a.py', '../b.py']\nn = 5\nx = dict(q=dict(s=4, u=None), t=[9])\nz = {'k': 1}['k']\n",
    )
    cfg = Config.fromfile(tmp_path / "sub" / "c.py")
    assert cfg.to_dict() == dict(x=dict(p=1, q=dict(r=2, s=4, u=None), t=[9]), z=1, y=(1, 2), n=5)
    assert list(cfg) == ["x", "z", "y", "n"] and list(cfg.x.q) == ["r", "s", "u"]


def test_single_base_and_base_of_a_base(tmp_path):
    write(tmp_path, a="x = 1\ny = 1\n", b="_base_ = 'a.py'\ny = 2\n", c="_base_ = './b.py'\n")
    assert Config.fromfile(str(tmp_path / "c.py")) == Config(dict(x=1, y=2))


def test_base_may_stand_below_and_be_computed(tmp_path):
    write(tmp_path, a="x = 1\n", c="y = {{_base_.x}} + 1\nname = 'a'\n_base_ = [f'./{n}.py' for n in ['a']]\n")
    assert Config.fromfile(tmp_path / "c.py") == Config(dict(x=1, y=2, name="a"))
    write(tmp_path, d="y = {{_base_.x}} + 1\n_base_ = [n + '.py']\nn = 'a'\n")
    with pytest.raises(ConfigError, match=r"d\.py:2: the name 'n' is not defined"):
        Config.fromfile(tmp_path / "d.py")


def test_delete_replaces_at_any_depth_and_is_gone(tmp_path):
    write(
        tmp_path,
        a="m = dict(b=dict(x=1, y=2), h=dict(x=1, y=dict(z=1)), k=[1], t=3)\n",
        c="_base_ = 'a.py'\nm = dict(b=dict(_delete_=True, y=3), h=dict(y=dict(_delete_=True)),"
        " k=dict(_delete_=True, a=1), t=dict(_delete_=True, u=1), new=dict(_delete_=True, v=dict(_delete_=False, w=1)),"
        " l=[dict(_delete_=True, a=1)])\n",
    )
    assert Config.fromfile(tmp_path / "c.py").m == dict(
        b=dict(y=3), h=dict(x=1, y={}), k=dict(a=1), t=dict(u=1), new=dict(v=dict(w=1)), l=[dict(a=1)]
    )


def test_delete_false_merges(tmp_path):
    write(tmp_path, a="m = dict(x=1)\n", c="_base_ = 'a.py'\nm = dict(_delete_=False, y=2)\n")
    assert Config.fromfile(tmp_path / "c.py").m == dict(x=1, y=2)


def test_dict_over_none_and_anything_over_a_dict(tmp_path):
    write(
        tmp_path, a="p = None\nq = dict(x=1)\nr = dict(x=1)\n", c="_base_ = 'a.py'\np = dict(y=1)\nq = None\nr = [1]\n"
    )
    assert Config.fromfile(tmp_path / "c.py") == dict(p=dict(y=1), q=None, r=[1])


@pytest.mark.parametrize("value", ["[1]", "'text'", "3", "(1,)"])
def test_dict_over_something_else_is_refused(value, tmp_path):
    write(tmp_path, a=f"m = dict(n={value})\n", c="_base_ = 'a.py'\nm = dict(n=dict(x=1))\n")
    with pytest.raises(ConfigError, match=r"c\.py: 'm\.n' is a dict.*_delete_=True"):
        Config.fromfile(tmp_path / "c.py")


def test_same_key_in_two_bases_is_refused(tmp_path):
    write(tmp_path, a="x = 1\n", b="x = 1\n", c="_base_ = ['a.py', 'b.py']\n")
    with pytest.raises(ConfigError, match=r"c\.py: its bases a\.py and b\.py both define 'x'"):
        Config.fromfile(tmp_path / "c.py")


def test_missing_base_names_both_files(tmp_path):
    write(tmp_path, c="_base_ = 'gone.py'\n")
    with pytest.raises(ConfigError, match=r"gone\.py, which is a _base_ of .*c\.py"):
        Config.fromfile(tmp_path / "c.py")


def test_circle_of_bases_is_refused(tmp_path):
    write(tmp_path, a="_base_ = 'b.py'\n", b="_base_ = 'c.py'\n", c="_base_ = 'a.py'\n")
    with pytest.raises(ConfigError, match="is based on this file in turn"):
        Config.fromfile(tmp_path / "c.py")


def test_same_base_by_two_ways_is_no_circle(tmp_path):
    write(
        tmp_path,
        a="_deprecation_ = dict(expected='x')\n",
        b="_base_ = 'a.py'\nx = 1\n",
        c="_base_ = ['a.py', 'b.py']\n",
    )
    assert Config.fromfile(tmp_path / "c.py") == Config(dict(x=1))


def test_references_to_the_bases(tmp_path):
    write(
        tmp_path,
        a="n = 3\nm = dict(b=dict(c=(1, 2)), l=[dict(k='v')], **{'lambda': 7})\ns = 'text'\n",
        c="""_base_ = 'a.py'
plain = {{ _base_.n }}
sum = {{_base_.n}} * 2 + 1
argument = dict(a={{ _base_.m.b }}, b=[{{_base_.s}}, {{ _base_.n}}], c=({{_base_.m.b.c}},))
display = {'a': {{_base_.m.b}}}
string = 'x/{{ _base_.s }}/{{_base_.n}}.pth'
concatenated = 'x/' + {{_base_.s}} '.pth'
fstring = f'{{ _base_.s }}-{argument["b"][1]}-{ {{_base_.n}} }'
item = {{ _base_.m.l.0.k }}
keyword = {{ _base_.m.lambda }}
lines = {{
    _base_.n
}}
comment = 1  # {{ _base_.gone }}
raw = r'\\{{_base_.s}}'
m = dict(copied={{_base_.m.b}})
""".replace("{{_base_.s}} '.pth'", "{{_base_.s}} + '.pth'"),
    )
    cfg = Config.fromfile(tmp_path / "c.py").to_dict()
    assert cfg["plain"] == 3 and cfg["sum"] == 7 and cfg["lines"] == 3 and cfg["item"] == "v" and cfg["keyword"] == 7
    assert cfg["argument"] == dict(a=dict(c=(1, 2)), b=["text", 3], c=((1, 2),))
    assert cfg["display"] == dict(a=dict(c=(1, 2)))
    assert cfg["string"] == "x/text/3.pth" and cfg["concatenated"] == "x/text.pth" and cfg["fstring"] == "text-3-3"
    assert cfg["raw"] == "\\text"
    assert cfg["m"] == dict(b=dict(c=(1, 2)), l=[dict(k="v")], copied=dict(c=(1, 2)), **{"lambda": 7})


def test_line_numbers_survive_a_reference_over_several_lines(tmp_path):
    write(tmp_path, a="n = 3\n", c="_base_ = 'a.py'\nx = {{\n\n_base_.n\n}}\ny = 1 / 0\n")
    with pytest.raises(ConfigError, match=r"c\.py:6: "):
        Config.fromfile(tmp_path / "c.py")


@pytest.mark.parametrize("path", ["gone", "n.x", "l.5", "l.x"])
def test_reference_to_nothing_is_refused(path, tmp_path):
    write(tmp_path, a="n = 3\nl = [1]\n", c="_base_ = 'a.py'\n\nx = {{ _base_." + path + " }}\n")
    with pytest.raises(ConfigError, match=r"c\.py:3: .*_base_\." + path):
        Config.fromfile(tmp_path / "c.py")


def test_file_variables(tmp_path):
    text = (
        "a = '{{ fileDirname }}'\nb = 'x_{{fileBasenameNoExtension}}'\n"
        "c = f'{{ fileExtname }}{1}'\nd = {{ fileBasename }}\n"
    )
    write(tmp_path, base=text.replace("a =", "e ="), c="_base_ = 'base.py'\n" + text)
    cfg = Config.fromfile(tmp_path / "c.py")
    assert cfg == dict(e=tmp_path.as_posix(), a=tmp_path.as_posix(), b="x_c", c=".py1", d="c.py")


def test_file_variables_in_a_folder_with_quotes(tmp_path):
    folder = tmp_path / 'it\'s "{here}"'
    folder.mkdir()
    write(folder, c="a = '{{ fileDirname }}'\n")
    assert Config.fromfile(folder / "c.py").a == folder.as_posix()


def test_variables_and_references_of_other_kinds_of_file(tmp_path):
    write(
        tmp_path,
        base="n = 3\nm = dict(b=(1, 2))\ns = 'text'\n",
        a_json='{"_base_": "./base.py", "x": {{ _base_.n }}, "y": ["{{_base_.m}}", "a/{{_base_.s}}"],'
        ' "z": "{{ fileBasename }}", "m": {"c": {{_base_.m.b}}}}',
        b_yaml="_base_: ./base.py\nx: {{ _base_.n }}\ny: [{{_base_.m}}, 'a/{{_base_.s}}']  # it's\n"
        "z: '{{ fileBasename }}'\nm:\n  c: {{_base_.m.b}}\nt: !!python/tuple [1, 2]\n",
    )
    expected = dict(n=3, s="text", x=3, y=[dict(b=(1, 2)), "a/text"], m=dict(b=(1, 2), c=(1, 2)))
    assert Config.fromfile(tmp_path / "a.json") == dict(expected, z="a.json")
    assert Config.fromfile(tmp_path / "b.yaml") == dict(expected, z="b.yaml", t=(1, 2))


def test_json_and_yaml_can_be_bases(tmp_path):
    write(
        tmp_path,
        a_json=json.dumps(dict(x=dict(p=1, q=[1, None]))),
        b_yml="y: {r: 1.5}\n",
        c="_base_ = ['a.json', 'b.yml']\nx = dict(p=2)\n",
    )
    assert Config.fromfile(tmp_path / "c.py") == dict(x=dict(p=2, q=[1, None]), y=dict(r=1.5))


def test_from_string_of_each_kind():
    assert Config.fromstring("a = (1,)") == dict(a=(1,))
    assert Config.fromstring('{"a": [1]}', ".json") == Config.fromstring("a: [1]", ".yml") == dict(a=[1])
    with pytest.raises(ConfigError, match=r"\.toml"):
        Config.fromstring("", ".toml")


def test_custom_imports_are_refused_with_advice(tmp_path):
    write(tmp_path, a="custom_imports = dict(imports=['x'])\n", c="_base_ = 'a.py'\n", d="custom_imports = None\n")
    with pytest.raises(ConfigError, match=r"a\.py: 'custom_imports'.*nothing in a config file is executed; remove it"):
        Config.fromfile(tmp_path / "c.py")
    assert Config.fromfile(tmp_path / "d.py") == dict(custom_imports=None)


@pytest.mark.parametrize("imports", ["'mmcls.models'", "['mmcls.models']", "('mmcls.models',)"])
def test_custom_imports_of_what_is_built_in_stay_as_data(imports, tmp_path):
    write(
        tmp_path,
        a=f"custom_imports = dict(imports={imports}, allow_failed_imports=False)\n",
        b="_base_ = 'a.py'\nmodel = dict(type='mmcls.ConvNeXt')\n",
    )
    cfg = Config.fromfile(tmp_path / "b.py")
    assert cfg.custom_imports == dict(imports=ast.literal_eval(imports), allow_failed_imports=False)
    assert "mmcls" not in sys.modules
    assert Config.fromstring(cfg.pretty_text) == cfg
    cfg.dump(tmp_path / "c.py")
    assert Config.fromfile(tmp_path / "c.py") == cfg


@pytest.mark.parametrize(
    "value",
    [
        "'mmcls.models'",
        "['mmcls.models']",
        "dict(imports='mmcls')",
        "dict(imports='mmcls.models.os')",
        "dict(imports=['mmcls.models', 'os'])",
        "dict(imports=['mmcls.models', 'mmcls.models'])",
        "dict(imports=[['mmcls.models']])",
        "dict(imports=[])",
        "dict(imports=None)",
        "dict(allow_failed_imports=False)",
        "dict(imports='mmcls.models', allow_failed_imports='os')",
        "dict(imports='mmcls.models', also='os')",
    ],
)
def test_all_other_custom_imports_are_refused(value, tmp_path):
    write(tmp_path, a=f"custom_imports = {value}\n")
    with pytest.raises(ConfigError, match="'custom_imports' is not possible"):
        Config.fromfile(tmp_path / "a.py")


def test_unreadable_files_are_named(tmp_path):
    write(tmp_path, a="x = (", b_txt="x = 1")
    (tmp_path / "latin.py").write_bytes(b"a = 1\nb = '\xe9'\n")
    for name, message in {
        "gone.py": "there is no config file .*gone.py",
        ".": "must end in",
        "b.txt": "b.txt: a config file must end in .py",
        "a.py": r"a\.py:\d: this is not valid Python",
        "latin.py": r"latin\.py:2: .*UTF-8",
    }.items():
        with pytest.raises(ConfigError, match=message):
            Config.fromfile(tmp_path / name)


def test_encoding_marks_and_line_ends_do_not_matter(tmp_path):
    (tmp_path / "a.py").write_bytes(
        b"\xef\xbb\xbf# -*- coding: latin-1 -*-\r\nx = 'caf\xc3\xa9'\r\nif x:\r\n    y = 1\r\n"
    )
    assert Config.fromfile(tmp_path / "a.py") == dict(x="café", y=1)

"""Configs that try to run code, to read what is not theirs, or to hang or fill the machine."""

import os
from pathlib import Path

import pytest

from mmseg.config import Config
from mmseg.errors import ConfigError

HOSTILE = {
    "import": "import os\nos.system('touch {path}')",
    "from import": "from pathlib import Path\nPath('{path}').touch()",
    "dunder import": "a = __import__('os').system('touch {path}')",
    "open": "a = open('{path}', 'w')",
    "eval": "a = eval(\"open('{path}', 'w')\")",
    "exec": "exec(\"open('{path}', 'w')\")",
    "compile": "a = compile('1', '', 'eval')",
    "eval by name": "e = eval\na = e(\"open('{path}', 'w')\")",
    "getattr": "a = getattr('', '__class__')",
    "subclasses": "a = ().__class__.__bases__[0].__subclasses__()",
    "class of dict": "a = dict(x=1).__class__",
    "method without a call": "a = ''.join",
    "globals of a method": "a = ''.join.__globals__",
    "type": "a = type('X', (), dict())",
    "builtins": "a = __builtins__['open']('{path}', 'w')",
    "loader": "a = __loader__",
    "format attribute": "a = '{{0.__class__.__mro__}}'.format(1)",
    "format attribute of an item": "a = '{{0[k].__class__}}'.format(dict(k=1))",
    "format keyword attribute": "a = '{{x.__init__.__globals__}}'.format(x=[])",
    "format in a spec": "a = '{{0:{{1.__class__}}}}'.format(1, 2)",
    "format_map": "a = '{{x.__class__}}'.format_map(dict(x=1))",
    "f-string attribute": "a = f'{{().__class__}}'",
    "f-string call": "a = f\"{{open('{path}', 'w')}}\"",
    "f-string in a spec": "a = f\"{{1:{{open('{path}', 'w')}}}}\"",
    "lambda": "a = (lambda: open('{path}', 'w'))()",
    "sorted by a key": "a = sorted([1], key=eval)",
    "decorator": "@eval\ndef f(): pass",
    "class decorator": "@open\nclass A: pass",
    "metaclass": "class A(metaclass=print): pass",
    "walrus": "a = [b := open, b('{path}', 'w')]",
    "walrus in a comprehension": "a = [y for x in [1] if (y := eval)]",
    "comprehension target": "a = [1 for x.y in [1]]",
    "comprehension over a function": "a = [f('{path}', 'w') for f in [open]]",
    "comprehension that shadows": "a = [dict for dict in [eval]][0]('1')",
    "default argument": "def f(x=open('{path}', 'w')): pass",
    "annotation": "a: open('{path}', 'w') = 1",
    "assert": "assert open('{path}', 'w')",
    "raise": "raise open('{path}', 'w')",
    "starred call": "a = print(*[open('{path}', 'w')])",
    "unreachable": "if False:\n    a = open('{path}', 'w')",
    "with": "with open('{path}', 'w') as f: pass",
    "try": "try:\n    a = 1 / 0\nexcept Exception as e:\n    b = e.__traceback__",
    "generator frame": "a = (i for i in [1]).gi_frame",
    "async comprehension": "a = [i async for i in [1]]",
    "custom_imports": "custom_imports = dict(imports=['os'], allow_failed_imports=False)",
    "match": "match 1:\n    case int(real=x): pass",
    "huge power": "a = 10 ** 10 ** 10",
    "huge power in steps": "a = 10\nfor i in range(100):\n    a = a ** 10",
    "huge product": "a = 2 ** 4000\na = a * a * a * a",
    "huge shift": "a = 1 << 10 ** 9",
    "huge string": "a = 'x' * 10 ** 10",
    "doubling string": "a = 'x'\nfor i in range(60):\n    a = a + a",
    "doubling string in place": "a = 'x' * 99\nfor i in range(60):\n    a += a",
    "doubling f-string": "a = 'x'\nfor i in range(60):\n    a = f'{{a}}{{a}}'",
    "huge list": "a = [0] * 10 ** 10",
    "huge list by list()": "a = list(range(10 ** 10))",
    "huge sum": "a = sum(range(10 ** 10))",
    "huge search": "a = 0.5 in range(10 ** 10)",
    "huge range": "a = [i for i in range(10 ** 30) if False]",
    "doubling list": "a = [0]\nfor i in range(60):\n    a.extend(a)",
    "shared lists": "a = [0]\nfor i in range(40):\n    a = [a, a]",
    "shared lists printed": "a = [0]\nfor i in range(40):\n    a = [a, a]\nb = str(a)\na = 0",
    "shared lists compared": "a, b = [0], [0]\nfor i in range(40):\n    a, b = [a, a], [b, b]\nc = a == b\na = b = 0",
    "shared tuples hashed": "a = (0,)\nfor i in range(60):\n    a = (a, a)\nb = {{a: 1}}\na = b = 0",
    "deep tuples hashed": "a = (0,)\nfor i in range(100000):\n    a = (a,)\nb = {{a}}\na = b = 0",
    "deep lists": "a = [0]\nfor i in range(100000):\n    a = [a]",
    "list in itself": "a = [1]\na.append(a)",
    "dict in itself": "a = dict()\na['a'] = a",
    "endless loop": "a = [1]\nfor x in a:\n    a.append(x)",
    "nested loops": "\n".join(" " * i + f"for i{i} in range(1000):" for i in range(10)) + "\n" + " " * 10 + "a = 1",
    "nested comprehension": "a = [0 for a in range(9999) for b in range(9999) for c in range(9999) if False]",
    "huge width in a format": "a = '{{:999999999}}'.format(1)",
    "huge width in an f-string": "a = f'{{1:999999999}}'",
    "huge computed width": "w = 10 ** 9\na = f'{{1:{{w}}}}'",
    "huge precision": "a = '{{:.999999999f}}'.format(1.0)",
    "huge percent width": "a = '%999999999d' % 1",
    "huge percent width behind a key": "a = '%(a(b)c)999999999d' % {{'a(b)c': 1}}",
    "huge percent star": "a = '%*d' % (999999999, 1)",
    "huge padding": "a = 'a'.rjust(10 ** 9)",
    "huge replacement": "a = ('a' * 100000).replace('a', 'b' * 100000)",
    "huge join": "a = ('b' * 100000).join(['a'] * 90000)",
    "huge rounding": "a = round(5, -10 ** 9)",
    "slow search": "a = ('a' * 500000 + 'b') in ('a' * 1000000)",
    "many digits": "a = " + "9" * 100000,
    "many digits in a string": "a = int('9' * 100000)",
    "deep lists in the text": "a = " + "[" * 5000 + "]" * 5000,
    "deep calls in the text": "a = " + "dict(a=" * 5000 + "1" + ")" * 5000,
    "deep parentheses": "a = " + "(" * 100000,
    "long sum": "a = " + "1 + " * 100000 + "1",
    "long chain of methods": "a = ''" + ".strip()" * 100000,
    "long chain of subscripts": "a = b" + "[0]" * 100000,
    "long chain of signs": "a = " + "-" * 100000 + "1",
    "long chain of not": "a = " + "not " * 100000 + "1",
    "long conditional": "a = " + "1 if 0 else " * 100000 + "2",
    "long elif": "if 0:\n    a = 1\n" + "elif 0:\n    a = 1\n" * 100000,
    "long f-string": "a = f'{{" + "-" * 100000 + "1}}'",
    "deep f-string": "a = f'{{" + "(" * 3000 + "1" + ")" * 3000 + "}}'",
    "deep indents": "".join(" " * i + "if 1:\n" for i in range(99)) + " " * 99 + "a = 1",
    "large file": "a = 1\n" + "#" * (1 << 20),
    "null": "a = 1\0",
    "base of itself": "_base_ = 'hostile.py'",
    "base that needs itself": "_base_ = {{{{_base_.x}}}}",
    "base that is a device": "_base_ = '/dev/zero'",
    "base outside": "_base_ = '/etc/passwd'",
    "base outside, relative": "_base_ = '../../../../../../../../etc/passwd'",
    "config outside": "_base_ = '../outside.py'",
    "config outside by a link": "_base_ = 'link.py'",
    "base with a null": "_base_ = 'a\\0.py'",
    "base that is no path": "_base_ = dict(a=1)",
    "many bases": "_base_ = ['empty.py'] * 100000",
    "shared lists as base": "_base_ = [0]\nfor i in range(40):\n    _base_ = [_base_, _base_]\na = {{{{_base_.x}}}}",
    "base of a long name": "_base_ = 'x' * 100000",
    "long name that is not defined": "a = " + "b" * 100000,
    "long key that is missing": "a = dict()['b' * 100000]",
    "long key at the top": "a = 1\n_base_ = {{{{_base_." + "x" * 100000 + "}}}}",
    "bases that are long together": "_base_ = ['long.py'] * 9",
    "every mark that a reference could become": "a = '" + "".join(f"_ref{i}_" for i in range(70000)) + "' + 1",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_is_refused_and_does_nothing(name, tmp_path: Path):
    package, canary = tmp_path / "package", tmp_path / "canary"
    package.mkdir()
    (tmp_path / "outside.py").write_text("a = 1\n")
    (package / "empty.py").write_text("")
    (package / "long.py").write_text("#" * (1 << 19))
    (package / "link.py").symlink_to(tmp_path / "outside.py")
    text = HOSTILE[name]
    file = package / "hostile.py"
    file.write_text(text.format(path=canary) if "{" in text else text, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        Config.fromfile(file, base_root=package)
    assert "hostile.py" in str(error.value)
    assert len(str(error.value)) < 2000
    assert not canary.exists()
    assert sorted(os.listdir(package)) == ["empty.py", "hostile.py", "link.py", "long.py"]


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system ['touch {path}']",
        "a: !!python/name:os.system",
        "a: !!python/object/new:os.system ['touch {path}']",
        "a: 2020-01-01",
        "a: &a [*a]",
        "a: &a [1]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
        + "\n".join(f"{key}: &{key} [{', '.join(['*' + before] * 10)}]" for before, key in zip("bcdefghi", "cdefghij")),
        "a0: &a0 {x: 1, y: 2}\n"
        + "\n".join(f"a{i + 1}: &a{i + 1} {{'<<': [{', '.join([f'*a{i}'] * 9)}]}}" for i in range(9)).replace(
            "'<<'", "<<"
        ),
        "a: " + "[" * 3000,
        "- 1",
        "just text",
        "",
        "1: 2",
        "{{_base_.a}}: 1",
        "a: {{_base_.a}}",
    ],
)
def test_hostile_yaml_is_refused(text, tmp_path):
    file, canary = tmp_path / "hostile.yaml", tmp_path / "canary"
    file.write_text(text.replace("{path}", str(canary)))
    with pytest.raises(ConfigError, match="hostile.yaml"):
        Config.fromfile(file)
    assert not canary.exists()


@pytest.mark.parametrize(
    "text",
    ["[1]", "{", '{"a": }', '{"a": ' * 3000, '{"a": ' + "9" * 5000 + "}", '{"custom_imports": {"imports": "os"}}'],
)
def test_hostile_json_is_refused(text, tmp_path):
    file = tmp_path / "hostile.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match="hostile.json"):
        Config.fromfile(file)


def test_a_config_outside_of_the_root_is_read_without_one(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "outside.py").write_text("a = 1\n")
    (tmp_path / "package" / "config.py").write_text("_base_ = '../outside.py'\n")
    assert Config.fromfile(tmp_path / "package" / "config.py").a == 1
    with pytest.raises(ConfigError, match="outside"):
        Config.fromfile(tmp_path / "package" / "config.py", base_root=tmp_path / "package")
    assert Config.fromfile(tmp_path / "package" / "config.py", base_root=tmp_path).a == 1

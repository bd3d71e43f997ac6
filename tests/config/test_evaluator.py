"""The language of the config files: the same values as Python's for what is allowed, ConfigError for the rest."""

import math
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg.config import Config
from mmseg.errors import ConfigError

PROGRAMS = {
    "literals": """
a = 1
b = -2.5e-3
c = 'x' "y"
d, e = None, True
f = 0x1f
g = 1_000
h = r'\\d'
i = '''p
q'''
""",
    "containers": """
a = [1, (2,), {'k': ()}]
b = {1, 2}
c = {**{'a': 1}, 'b': 2}
d = [*a, *(1, 2)]
e = (*d, 3)
""",
    "dict calls": """
a = dict(x=1, **dict(y=2))
b = dict([('p', 1)], q=2)
c = dict(a, x=3)
d = dict(budget=1, self=2)
""",
    "names": """
a = 3
b = [a, a * 2]
c = dict(x=b, y=b[0])
""",
    "arithmetic": """
a = 7 // 2
b = -7 % 3
c = 2 ** 10
d = 1 / 4
e = 2 ** -1
f = ~5
g = 1 << 4 | 1
h = [0] * 3
i = 3 * 'ab'
""",
    "sequences": """
a = [1] + [2]
b = (1,) + (2,)
c = 'x' + 'y'
d = a * 2
e = (0,) * 3
""",
    "comparisons": """
a = 1 < 2 <= 2 != 3
b = 'a' in 'abc'
c = 2 not in [1]
d = None is None
e = [1, 2] == [1, 2]
f = (1, 2) < (1, 3)
""",
    "logic": """
a = 0 or 'x'
b = 1 and []
c = not a
d = 'yes' if a else 'no'
e = a or b and c
""",
    "f-strings": """
x = 3.14159
n = 'w'
a = f'{x:.2f}|{n!r:>5}|{x=}|{{}}|{n:{5}}|{1 + 1}'
b = f'{[1, n]}'
""",
    "format": """
a = '{}-{}'.format(1, 'b')
b = '{0[k]}{x:>4}'.format({'k': 1}, x=2)
c = '{:{}}'.format('a', 4)
d = '{{}}'.format()
""",
    "percent": """
a = '%s_%05.1f' % ('x', 3.14159)
b = '%(k)d%%' % {'k': 4}
c = '%s' % [1, 'a']
d = 'x' % ()
""",
    "subscripts": """
a = [1, 2, 3, 4]
b = a[-1]
c = a[1:3]
d = a[::-2]
e = 'abc'[1:]
f = (1, 2)[0]
g = {'k': {'j': 1}}['k']['j']
""",
    "string methods": """
a = ' A,b '.strip().lower().split(',')
b = '/'.join(a)
c = 'aab'.replace('a', 'x', 1)
d = '7'.zfill(3)
e = 'x.py'.endswith(('.py', '.c'))
f = 'abc'.find('c')
g = 'a b'.title().swapcase()
h = 'a=b'.partition('=')
""",
    "list methods": """
a = [3]
a.append(1)
a.extend((2, 5))
a.insert(0, 9)
b = a.pop()
a.sort()
c = a.copy()
c.reverse()
d = c.index(9)
e = c.count(1)
c.remove(9)
a.clear()
""",
    "dict methods": """
a = dict(x=1)
a.update(y=2)
a.update({'z': 3})
b = list(a.items())
c = sorted(a.keys())
d = sum(a.values())
e = a.get('q', 5)
f = a.copy()
f.pop('x')
a.setdefault('w', []).append(1)
g = a.update([('u', 1)])
""",
    "set methods": """
a = {1}
a.add(2)
a.update([3])
b = a.union({4}) - {1}
a.discard(1)
c = sorted(a & b)
""",
    "functions": """
a = list(range(2, 10, 3))
b = len('abc')
c = min(3, 1)
d = max([1, 5])
e = sum([1, 2], 3)
f = int('12')
g = float('1e3')
h = str(1.0)
i = bool([])
j = abs(-2)
k = round(2.567, 2)
l = sorted((3, 1), reverse=True)
m = list(zip('ab', (1, 2)))
n = [p for p in enumerate('xy', 1)]
o = tuple([1])
p = set([1])
q = any([0, 1])
r = all([])
s = int('ff', 16)
t = round(5)
u = list(reversed([1, 2]))
v = max([], default=0)
w = sum([[1], [2]], [])
""",
    "comprehensions": """
s = [1, 2, 3]
a = [i * j for i in s for j in range(i) if j % 2]
b = {k: v for k, v in zip('ab', s)}
c = {i // 2 for i in s}
d = sum(i for i in s)
e = [[j for j in range(i)] for i in s]
f = dict((i, [i]) for i in s)
""",
    "unpacking": """
a, b = 1, 2
(c, d), *e = (3, 4), 5, 6
x = y = [0]
[f, g] = 'hi'
*h, i = [1]
""",
    "changes": """
a = {'b': {'c': [1, 2]}}
a['b']['c'][0] = 9
a['n'] = 1
del a['n']
b = a['b']
b['d'] = 4
z = 1
del z
l = [1, 2, 3]
l[1:] = 'xy'
""",
    "augmented": """
a = 1
a += 2
a **= 2
b = [1]
c = b
b += (2,)
d = {'k': 3}
d['k'] -= 1
e = 'x'
e *= 2
f = [0]
g = f
f *= 2
""",
    "if": """
x = 3
if x > 5:
    a = 1
elif x == 3:
    a = 2
else:
    a = 3
""",
    "for": """
a = []
for i, c in enumerate('abcd'):
    if c == 'b':
        continue
    if c == 'd':
        break
    a.append((i, c))
for j in []:
    pass
else:
    k = 1
""",
    "annotation": """
a: int = 3
b: list
'a docstring'
""",
    "private": """
_a = 1
__b = 2
c = _a + __b
""",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_agrees_with_python(name):
    namespace = {}
    exec(PROGRAMS[name], namespace)  # the programs above are our own
    expected = {key: value for key, value in namespace.items() if not key.startswith("__")}
    actual = Config.fromstring(PROGRAMS[name]).to_dict()
    assert actual == expected
    assert list(actual) == list(expected)
    assert repr(actual) == repr(expected)  # tells 1 from 1.0 and True


def test_values_of_names_are_not_shared():
    cfg = Config.fromstring("norm = dict(type='BN')\na = dict(norm=norm)\nb = [norm]")
    cfg.a.norm.type = "GN"
    assert cfg.norm.type == cfg.b[0].type == "BN"


REFUSED = {
    "import os": "'import'",
    "from os import path": "'import'",
    "a = lambda: 1": "'lambda'",
    "def f(): pass": "'def'",
    "class A: pass": "'class'",
    "with a: pass": "'with'",
    "while True: pass": "'while'",
    "try:\n    a = 1\nexcept: pass": "'try'",
    "global a": "'global'",
    "async def f(): await x": "'async def'",
    "a = [b := 1]": "':='",
    "assert True": "'assert'",
    "raise ValueError": "'raise'",
    "if False:\n    import os": "'import'",
    "a = open('x')": "'open' cannot be called",
    "a = __file__": "'__file__'",
    "a = dict(b=1)\nc = a.b": "attribute 'b'",
    "a = {}\na.b = 1": "attribute 'b'",
    "a = len": "'len' can only be called",
    "a = (len)(1)(2)": "only functions and methods",
    "a = b": "'b' is not defined",
    "a = b''": "type bytes",
    "a = 1j": "type complex",
    "a = ...": "type ellipsis",
    "a = (-1) ** 0.5": "type complex",
    "a = 1 / 0": "division by zero",
    "a = {}['x']": "no key 'x'",
    "a = [1][3]": "index out of range",
    "a = 1 + 'x'": "int and str",
    "a, b = 1, 2, 3": "2 values are expected",
    "a = *b": "",
    "break": "break and continue",
    "a = dict(b=1, **dict(b=2))": "'b' is given twice",
    "a = 'x'.encode()": "method 'encode'",
    "a = (1).real": "attribute 'real'",
    "a = [].__len__()": "method '__len__'",
    "a = ": "not valid Python",
    "a = (1": "not valid Python",
    "  a = 1\nb": "not valid Python",
    "a = '\0'": "",
    "a = '\ud800'": "",
    "a = {{ _base_.x }}": "no _base_",
    "a = {{ fileDirname }}": "only in a config file",
    "_base_ = 'a.py'": "no folder",
    "filename = 1": "'filename'",
}


@pytest.mark.parametrize("text", REFUSED)
def test_refuses(text):
    with pytest.raises(ConfigError) as error:
        Config.fromstring(text)
    assert REFUSED[text] in str(error.value)
    assert "\n" not in str(error.value)


def test_messages_name_the_line():
    with pytest.raises(ConfigError, match="^<string>:3: .*division"):
        Config.fromstring("a = 1\n\nb = [\n    1 / 0]\n".replace("[\n    ", "["))
    with pytest.raises(ConfigError, match="^<string>:4: .*'lambda'"):
        Config.fromstring("a = 1\nb = dict(\n    c=1,\n    d=lambda: 0)")


def test_names_of_functions_can_be_keys_and_variables():
    cfg = Config.fromstring("type = 'a'\nmax = 3\nmodel = dict(type=type, max=max, len=1)\nb = max")
    assert cfg.model == dict(type="a", max=3, len=1) and cfg.b == 3


numbers = st.one_of(
    st.integers(-50, 50), st.booleans(), st.floats(-100, 100, allow_nan=False).map(lambda x: round(x, 3))
)
operators = st.sampled_from(["+", "-", "*", "/", "//", "%", "&", "|", "^", "<", "<=", "==", "!=", "and", "or"])
expressions = st.recursive(
    numbers.map(repr),
    lambda inner: st.one_of(
        st.tuples(inner, operators, inner).map(lambda parts: f"({parts[0]}) {parts[1]} ({parts[2]})"),
        st.tuples(st.sampled_from(["-", "+", "not ", "~", "abs", "int", "float", "bool", "round"]), inner).map(
            lambda parts: f"{parts[0]}({parts[1]})"
        ),
        st.tuples(inner, inner, inner).map(lambda parts: "({}) if ({}) else ({})".format(*parts)),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(expressions)
def test_arithmetic_is_pythons(expression):
    try:
        expected = eval(expression)
    except (ArithmeticError, TypeError, ValueError):
        with pytest.raises(ConfigError):
            Config.fromstring(f"a = {expression}")
        return
    if isinstance(expected, int) and expected.bit_length() > 1000:
        return  # beyond what a config may compute, or close to it
    actual = Config.fromstring(f"a = {expression}").a
    assert type(actual) is type(expected)
    assert actual == expected or (math.isnan(actual) and math.isnan(expected))


@settings(max_examples=200, deadline=None)
@given(st.integers(-40, 40), st.integers(-40, 40))
def test_powers_and_shifts_are_pythons(base, exponent):
    if exponent >= 0:
        cfg = Config.fromstring(f"a = {base} << {exponent}\nb = {base} >> {exponent}")
        assert cfg == dict(a=base << exponent, b=base >> exponent)
    try:
        expected = base**exponent
    except ZeroDivisionError:
        with pytest.raises(ConfigError):
            Config.fromstring(f"a = ({base}) ** ({exponent})")
    else:
        assert Config.fromstring(f"a = ({base}) ** ({exponent})").a == expected


TOKENS = """
a b _base_ dict list range len str import lambda for in if else not and or is del pass x.y = == + - * ** / // % @ ( )
[ ] { } {{ }} , : ; . := -> '' 'a' "b" f'{a}' f'{{_base_.x}}' '%s' {{_base_.a}} {{fileBasename}} 1 2.5 1e9
0x 1j None True \\ # __import__ .format .update .append .__class__ async await yield *a **b
"""
tokens = st.sampled_from([*TOKENS.split(), "\n", "\n    "])


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(st.lists(tokens, max_size=25).map(" ".join), st.text(max_size=60), st.text(string.printable, max_size=60))
)
def test_any_text_is_read_or_refused(text):
    for suffix in (".py", ".json", ".yaml"):
        try:
            Config.fromstring(text, suffix)
        except ConfigError as error:
            assert str(error)

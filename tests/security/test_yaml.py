"""YAML of a few lines that means millions of values, or that would make objects."""

import pytest

from mmseg.config.yaml_text import load_plain_yaml
from mmseg.errors import ConfigError

BOMB = "a0: &a0 [x, x]\n" + "\n".join(f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 10)}]" for i in range(9))


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        BOMB.replace("a9: &a9", "class_names: &a9"),
        "a: &a [*a]",
        "a: &a {b: *a}",
        "a: " + "[" * 500,
        "a: !!python/object/apply:os.system ['true']",
        "a: !!python/name:os.system",
        "a: !!python/module:os",
        "a: !!binary aGk=",
        "a: [",
        "a: b: c",
        "a: \0",
        "# " + "x" * (1 << 20),
    ],
)
def test_it_is_refused(text):
    with pytest.raises(ConfigError, match="config.yaml") as caught:
        load_plain_yaml(text, "config.yaml")
    assert len(str(caught.value)) < 1000


def test_the_files_of_the_platform_are_read():
    text = "class_names: [a, 'b']\ngpu_id: '0,1'\nmax_iters: 20\nlr: 1.0e-3\nnone:\nflag: true\n"
    text += "base: &x {k: 1}\nsame: *x\nday: 2020-01-01"
    values = load_plain_yaml(text, "config.yaml")
    assert values["class_names"] == ["a", "b"] and values["gpu_id"] == "0,1" and values["none"] is None
    assert values["day"] == "2020-01-01"
    assert values["same"] == values["base"] == {"k": 1} and values["same"] is not values["base"]

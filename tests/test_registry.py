import pytest

from mmseg.errors import ConfigError
from mmseg.registry import Registry

SHAPES = Registry("shape")


@SHAPES.register_module()
class Square:
    def __init__(self, side, *, colour="red"):
        self.side, self.colour = side, colour


@SHAPES.register_module("dot")
def make_dot(size=1):
    return ("dot", size)


def test_a_type_is_built_with_its_arguments_over_the_defaults():
    square = SHAPES.build({"type": "Square", "side": 3}, side=1, colour="blue")
    assert (square.side, square.colour) == (3, "blue")
    assert SHAPES.build({"type": "dot"}) == ("dot", 1)
    assert "Square" in SHAPES
    assert "square" not in SHAPES


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        ({"type": "Squire"}, "there is no shape of type 'Squire'; did you mean Square"),
        ({"type": "Zzz"}, "known: Square, dot"),
        ({"type": 3}, "there is no shape of type 3"),
        ({"side": 3}, "must be a dict with the key 'type'"),
        (None, "must be a dict with the key 'type'"),
        ({"type": "Square"}, "shape Square: missing a required argument: 'side'"),
        ({"type": "Square", "side": 1, "angle": 2}, "shape Square: got an unexpected keyword argument 'angle'"),
        ({"type": "dot", "side": 2}, "shape dot: got an unexpected keyword argument 'side'"),
    ],
)
def test_what_cannot_be_built_is_named(cfg, message):
    with pytest.raises(ConfigError, match=message):
        SHAPES.build(cfg)


def test_a_name_is_registered_once():
    with pytest.raises(KeyError, match="registered twice"):
        SHAPES.register_module("Square")(make_dot)
    SHAPES.register_module("Square")(Square)


@pytest.mark.parametrize("width", ["wide", None, 0])
def test_what_a_value_of_no_use_raises_is_a_config_error(width):
    registry = Registry("layer")

    @registry.register_module()
    class Layer:
        def __init__(self, width):
            self.height = 6 // width

    assert registry.build(dict(type="Layer", width=2)).height == 3
    with pytest.raises(ConfigError, match="layer Layer cannot be built with these arguments: "):
        registry.build(dict(type="Layer", width=width))

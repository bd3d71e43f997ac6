"""Readers of everything that comes from outside, on generated input: an error of the right kind or a sound result."""

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmseg.config import Config, parse_overrides, split_overrides
from mmseg.errors import ConfigError
from ymir.annotations.coco import draw_label_mask, read_coco
from ymir.annotations.label_image import LABEL_MAP, read_label_colors
from ymir.annotations.segmentation import decode_segmentation
from ymir.errors import DatasetError, ParameterError
from ymir.index import read_annotated_index, read_candidate_index
from ymir.params import InferParameters, MiningParameters, TrainingParameters, read_parameters

ROOT = Path(__file__).resolve().parents[2]
quick = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))

# --- config files

OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "<<", ">>", "&", "|", "^", "==", "<", "in", "and", "or"]
NAMES = st.sampled_from(["a", "b", "model", "_base_", "dict", "data", "x"])
LITERALS = st.one_of(st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(), st.text(max_size=8)).map(
    repr
)


def expressions(inner):
    pairs = st.tuples(inner, inner)
    return st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        pairs.map("({0[0]}, {0[1]})".format),
        pairs.map("{{{0[0]}: {0[1]}}}".format),
        st.tuples(NAMES, inner).map("dict({0[0]}={0[1]})".format),
        st.tuples(inner, st.sampled_from(OPERATORS), inner).map("({0[0]} {0[1]} {0[2]})".format),
        pairs.map("{0[0]}[{0[1]}]".format),
        st.tuples(inner, st.sampled_from(["keys()", "copy()", "append(1)", "format(1)", "join(['a'])"])).map(
            "{0[0]}.{0[1]}".format
        ),
        st.tuples(st.sampled_from(["len", "sorted", "sum", "str", "int", "list", "set", "range"]), inner).map(
            "{0[0]}({0[1]})".format
        ),
        pairs.map("[{0[0]} for a in {0[1]}]".format),
        inner.map("f'{{{}}}'".format),
    )


EXPRESSIONS = st.recursive(st.one_of(LITERALS, NAMES), expressions, max_leaves=8)
STATEMENTS = st.one_of(
    st.tuples(NAMES, EXPRESSIONS).map("{0[0]} = {0[1]}".format),
    st.tuples(NAMES, EXPRESSIONS).map("{0[0]} += {0[1]}".format),
    st.tuples(EXPRESSIONS, NAMES, EXPRESSIONS).map("if {0[0]}:\n    {0[1]} = {0[2]}".format),
    st.tuples(NAMES, EXPRESSIONS, EXPRESSIONS).map("for {0[0]} in {0[1]}:\n    b = {0[2]}".format),
    NAMES.map("del {}".format),
)


def check_config(text, suffix):
    try:
        cfg = Config.fromstring(text, suffix)
        written = cfg.pretty_text
    except ConfigError as error:
        assert len(str(error)) < 1100
    else:
        assert "nan" in written or Config.fromstring(written) == cfg


@quick
@given(st.lists(STATEMENTS, max_size=5).map("\n".join))
def test_configs_of_generated_statements(text):
    check_config(text, ".py")


@pytest.fixture(scope="module")
def real_configs():
    return [path.read_text(encoding="utf-8") for path in sorted((ROOT / "configs" / "_base_").rglob("*.py"))]


@quick
@given(data=st.data())
def test_damaged_real_configs(real_configs, data):
    text = data.draw(st.sampled_from(real_configs))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text)))
        piece = data.draw(
            st.sampled_from(["(", ")", "{{", "}}", "'", "\n", ",", "=", "*", "#", "\0", "é", "__class__"])
        )
        text = text[:place] + piece + text[place + data.draw(st.integers(0, 3)) :]
    check_config(text, ".py")


@quick
@given(st.text(max_size=200), st.sampled_from([".py", ".json", ".yaml"]))
def test_configs_of_any_text(text, suffix):
    check_config(text, suffix)


@quick
@given(st.text(st.sampled_from("ab.=,()[]{}'\" 1e-"), max_size=40))
def test_overrides_of_any_text(text):
    with contextlib.suppress(ConfigError):
        cfg = Config({"a": {"b": [1, 2]}})
        cfg.merge_from_dict(parse_overrides(split_overrides(text)))
        assert isinstance(cfg.to_dict(), dict)


# --- hyper-parameters

VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just("1" * 5000)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)


@pytest.mark.parametrize("table", [TrainingParameters, InferParameters, MiningParameters])
def test_hyper_parameters_of_any_value(table):
    keys = st.sampled_from([*sorted(table.model_fields), "ignore_blank_area", "unknown"])

    @quick
    @given(st.dictionaries(keys, VALUES, max_size=4))
    def check(values):
        try:
            parameters = read_parameters(table, values, source="config.yaml")
        except ParameterError as error:
            assert str(error).startswith("config.yaml: ")
        else:
            again = read_parameters(table, parameters.model_dump(), source="config.yaml")
            assert again == parameters

    check()


# --- index files, annotations, label maps


@quick
@given(content=st.one_of(st.binary(max_size=200), st.text("ab/\t\r\n .é", max_size=60).map(str.encode)))
def test_index_files_of_any_bytes(tmp_path, content):
    path = tmp_path / "index.tsv"
    path.write_bytes(content)
    try:
        images = list(read_candidate_index(path))
        assert images and all(image.strip() and "\t" not in image and "\n" not in image for image in images)
    except DatasetError as error:
        assert str(path) in str(error)
    try:
        assert all(item.image and item.annotation for item in read_annotated_index(path))
    except DatasetError as error:
        assert str(path) in str(error)


SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 6))
NUMBERS = st.one_of(st.integers(-3, 40), st.floats(), st.sampled_from([10**9, 2**31, 2**63, -(2**63), 1e300]))
SEGMENTATIONS = st.one_of(
    VALUES,
    st.fixed_dictionaries(
        {
            "size": st.one_of(st.lists(st.integers(-1, 6), max_size=3), SHAPES.map(list), VALUES),
            "counts": st.one_of(
                st.lists(NUMBERS, max_size=6),
                st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=12),
                st.text(max_size=6),
                VALUES,
            ),
        }
    ),
    st.lists(st.one_of(st.lists(NUMBERS, max_size=9), NUMBERS), max_size=3),
)


@settings(quick, max_examples=400)
@given(segmentation=SEGMENTATIONS, shape=SHAPES, fits=st.booleans())
def test_segmentations_of_any_form(segmentation, shape, fits):
    if fits and isinstance(segmentation, dict) and "counts" in segmentation:
        segmentation = {**segmentation, "size": list(shape)}
    try:
        mask = decode_segmentation(segmentation, shape, "here")
    except DatasetError as error:
        assert str(error).startswith("here: ")
    else:
        assert mask.shape == shape and mask.dtype == bool


@quick
@given(
    images=st.lists(st.one_of(VALUES, st.fixed_dictionaries({"id": VALUES, "file_name": VALUES})), max_size=3),
    annotations=st.one_of(
        VALUES,
        st.lists(
            st.fixed_dictionaries(
                {"id": VALUES, "image_id": st.just(1), "category_id": st.just(1), "segmentation": SEGMENTATIONS}
            ),
            max_size=2,
        ),
    ),
    cut=st.integers(0, 400),
)
def test_annotation_files_of_any_content(tmp_path, images, annotations, cut):
    path = tmp_path / "coco.json"
    content = {
        "images": [*images, {"id": 1, "file_name": "a.jpg"}],
        "categories": [{"id": 1, "name": "a"}],
        "annotations": annotations,
    }
    text = json.dumps(content)
    path.write_text(text if cut > 200 else text[: len(text) - cut])
    try:
        mask = draw_label_mask(read_coco(path), "a.jpg", (4, 5), ["a"])
    except DatasetError as error:
        assert str(path) in str(error)
    else:
        assert mask.shape == (4, 5) and set(np.unique(mask)) <= {0, 1}


@quick
@given(
    content=st.one_of(
        st.binary(max_size=60), st.text("ab:,0129²٣\n# ", max_size=40).map(lambda text: f"a:{text}".encode())
    )
)
def test_label_maps_of_any_bytes(tmp_path, content):
    (tmp_path / LABEL_MAP).write_bytes(content)
    try:
        colors = read_label_colors(tmp_path, tmp_path, ["a", "b"])
    except DatasetError as error:
        assert str(tmp_path / LABEL_MAP) in str(error)
    else:
        assert colors and all(0 <= color < 1 << 24 and value in (1, 2) for color, value in colors.items())

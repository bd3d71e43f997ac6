import html
import json
import math
from urllib.parse import unquote, urljoin

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ymir.report.formatting import counted, describe, json_island, link, number, share, text


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_text_is_html_that_reads_as_before(value):
    escaped = text(value)
    assert html.unescape(escaped) == value
    assert not set("<>\"'") & set(escaped)


@given(st.text(alphabet=st.characters(blacklist_categories=())))
def test_text_of_any_characters_is_utf8(value):
    text(value).encode("utf-8")
    json_island(value).encode("utf-8")


def test_text_keeps_every_script_and_drops_control_characters():
    assert text("车辆 🚗 é\x00\x1b\n.jpg") == "车辆 🚗 é   .jpg"
    assert text("a\udcff") == "a?"


@pytest.mark.parametrize(
    "path", ["masks/a b.png", "masks/图 🚗.png", "masks/100%#?&'\"<>.png", "//host/x", "javascript:alert(1)", "a\\b"]
)
def test_links_stay_beside_the_page(path):
    page = "file:///out/mining-report.html"
    target = urljoin(page, link(path))
    assert target.startswith("file:///out/")
    assert unquote(link(path)) == "./" + path
    assert not set("<>\"'?#") & set(link(path))


def test_links_to_names_that_are_no_utf8():
    assert link("masks/\udcff.png") == "./masks/%FF.png"


@given(st.text(alphabet=st.characters(blacklist_categories=())))
def test_json_islands_read_as_before_and_cannot_be_left(value):
    island = json_island([value])
    assert json.loads(island) == [value]
    assert not set("<>&\u2028\u2029") & set(island)


def test_json_islands_have_no_nan():
    with pytest.raises(ValueError):
        json_island([math.nan])


@pytest.mark.parametrize(
    "value, expected",
    [
        (0, "0"),
        (1234567, "1,234,567"),
        (1234567890123456789, "1,234,567,890,123,456,789"),
        (10**400, "10" + 133 * ",000"),
        (5000.0, "5,000"),
        (0.123456, "0.1235"),
        (12345.678, "12,346"),
        (1.5e-7, "1.5e-07"),
        (1e300, "1e+300"),
        (math.nan, "–"),
        (-math.inf, "–"),
    ],
)
def test_numbers(value, expected):
    assert number(value) == expected


@pytest.mark.parametrize(
    "part, whole, expected",
    [
        (0, 10, "0%"),
        (10, 10, "100%"),
        (1, 3, "33.3%"),
        (27, 172800, "0.02%"),
        (1, 1000000, "<0.01%"),
        (9999, 10000, "99.99%"),
        (999999, 1000000, ">99.99%"),
        (1, 4, "25.0%"),
        (1, 0, "–"),
        (math.nan, 1, "–"),
    ],
)
def test_shares(part, whole, expected):
    assert share(part, whole) == expected


def test_counts_have_their_noun():
    assert counted(1, "image") == "1 image"
    assert counted(2000, "image") == "2,000 images"
    assert counted(0, "class", "classes") == "0 classes"


@pytest.mark.parametrize(
    "value, expected",
    [
        (None, "–"),
        ("", "–"),
        (True, "yes"),
        (np.bool_(False), "no"),
        (np.float32(0.5), "0.5"),
        (np.int64(20000), "20,000"),
        (float("nan"), "–"),
        ("slico", "slico"),
        ([1, 2.5], "1, 2.5"),
        ((), "–"),
        (np.array([0.25, np.inf]), "0.25, –"),
        ({"road": 0.5, "车": None}, "road: 0.5, 车: –"),
    ],
)
def test_values_in_words(value, expected):
    assert describe(value) == expected

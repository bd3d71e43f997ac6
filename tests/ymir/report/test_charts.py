import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ymir.report.charts import bin_scores, class_chart, score_chart


class Elements(HTMLParser):
    """The start tags of a piece of HTML with their attributes, and its text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.words = [], ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words += data

    def of(self, tag, **attributes):
        return [a for t, a in self.tags if t == tag and all(a.get(k.rstrip("_")) == v for k, v in attributes.items())]


scores_of_any_size = st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=40)


@given(scores_of_any_size, st.integers(0, 45))
def test_every_finite_score_lies_in_one_bin(scores, kept):
    histogram = bin_scores(np.array(scores), kept)
    finite = [score for score in scores if np.isfinite(score)]
    assert histogram.counts.sum() == len(finite)
    assert histogram.unscored == len(scores) - len(finite)
    assert len(histogram.edges) == len(histogram.counts) + 1 <= 52
    assert np.isfinite(histogram.edges).all()


@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=60, unique=True), st.data())
def test_no_bin_spans_the_cut(scores, data):
    kept = data.draw(st.integers(1, len(scores) - 1))
    histogram = bin_scores(np.array(scores) / 7, kept)
    assert histogram.counts[histogram.first_kept :].sum() == kept
    assert histogram.cut == sorted(scores)[-kept] / 7
    assert histogram.edges[histogram.first_kept] == histogram.cut


def test_where_all_or_none_are_kept_there_is_no_cut():
    scores = np.arange(10.0)
    assert bin_scores(scores, 10).cut is None and bin_scores(scores, 10).first_kept == 0
    nothing = bin_scores(scores, 0)
    assert nothing.cut is None and nothing.first_kept == len(nothing.counts)


@given(scores_of_any_size, st.integers(0, 45))
def test_score_charts_hold_numbers_only(scores, kept):
    html = score_chart(np.array(scores), kept)
    assert not re.search(r"\b(nan|inf|infinity)\b", html, re.IGNORECASE)
    for rect in Elements(html).of("rect"):
        assert 0 <= float(rect["x"]) <= 1000 and 0 <= float(rect["y"]) <= 200
        assert float(rect["height"]) >= 1 and float(rect["width"]) > 0


def test_score_chart_marks_the_cut_and_tells_the_numbers():
    chart = Elements(score_chart(np.array([1.0, 2.0, 3.0, 4.0, np.nan]), 1))
    assert len(chart.of("rect", class_="kept")) == 1 and len(chart.of("rect", class_="rest")) == 3
    assert "cut 4" in chart.words and "not kept" in chart.words
    summary = "4 images with scores from 1 to 4, median 2.5. The last image kept scores 4. 1 image without a score."
    assert summary in chart.words
    assert chart.of("svg")[0]["aria-label"] == summary


def test_bars_are_as_high_as_their_counts():
    chart = Elements(score_chart(np.array([0.0] * 30 + [1.0] * 60), 90))
    heights = [float(rect["height"]) for rect in chart.of("rect")]
    assert heights == pytest.approx([100, 200])
    assert "logarithmic" not in chart.words


def test_a_few_kept_images_are_seen_beside_a_million_others():
    chart = Elements(score_chart(np.array([0.0] * 1000000 + [1.0] * 3), 3))
    kept = chart.of("rect", class_="kept")
    assert float(kept[0]["height"]) > 15
    assert "logarithmic scale" in chart.words and "100,000" in chart.words


def test_charts_without_anything_say_so():
    assert "No image has a score" in score_chart(np.zeros(0), 0)
    assert "There are no regions" in class_chart(["a"], ["#000"], [0], None)
    assert "There are no regions" in class_chart([], [], [], [])


def test_class_chart_compares_shares_and_puts_the_largest_first():
    html = class_chart(["<road>", "车", "never"], ["#111111", "#222222", "#333333"], [10, 30, 0], [900, 100, 0])
    chart = Elements(html)
    assert chart.words.startswith("车75.0% pool 10.0%<road>25.0% pool 90.0%")
    assert "never" not in chart.words
    widths = [re.match(r"width:([\d.]+)%", bar["style"]).group(1) for bar in chart.of("i")]
    assert [float(width) for width in widths] == pytest.approx([83.33, 11.11, 27.78, 100])


def test_class_chart_folds_many_classes():
    chart = Elements(class_chart([f"class {i}" for i in range(150)], ["#000"] * 150, range(1, 151)))
    assert len(chart.of("tr")) == 150 and len(chart.of("details")) == 1
    assert "126 more classes" in chart.words and "pool" not in chart.words

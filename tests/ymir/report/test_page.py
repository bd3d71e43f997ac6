import base64
import datetime
import html
import json
import math
import re
import shutil
import subprocess
from html.parser import HTMLParser
from urllib.parse import unquote

import cv2
import numpy as np
import pytest

from ymir.report.cards import ReportRegion
from ymir.report.page import MiningReport
from ymir.report.region_pictures import encode_jpeg

HOSTILE = [
    "</script><script>document.title='pwned'</script>.jpg",
    "<img src=x onerror=document.title='pwned'>.jpg",
    '" onload="document.title=\'pwned\'" x=".jpg',
    "' onclick='x.jpg",
    "<!--<script>.jpg",
    "&lt;&amp;amp;{{data}}.jpg",
    '\\u003c\\\\\\".jpg',
    "图片 车辆 🚗 é.jpg",
    "\u202egpj.exe\u2028\u2029.jpg",
    "100%2e%2e#?x=1&y.jpg",
    "https:..evil.example..x.jpg",
]
REGIONS = (ReportRegion(0, 0.5, 10),)
# Elements that never have an end tag.
VOID = {"meta", "img", "input", "rect", "line", "br", "link"}
URL_ATTRIBUTES = ("href", "src", "srcset", "action", "poster", "data", "xlink:href", "background")


class Page(HTMLParser):
    """A report as a browser reads it."""

    def __init__(self, path):
        super().__init__()
        self.html = path.read_text(encoding="utf-8")
        self.tags, self.urls, self.scripts, self.words, self.handlers, self._open = [], [], [], "", [], []
        self.feed(self.html)
        self.close()
        assert not self._open, f"{self._open} are not closed"
        self.words = re.sub(r"\s+", " ", self.words)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        self.urls += [attrs[name] for name in URL_ATTRIBUTES if name in attrs]
        self.handlers += [name for name in attrs if name.startswith("on")]
        if tag == "script":
            self.scripts.append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)

    def handle_data(self, data):
        if self._open[-1:] == ["script"]:
            self.scripts[-1] += data
        elif self._open[-1:] != ["style"]:
            self.words += data + " "

    @property
    def data(self):
        def refuse(constant):
            raise AssertionError(f"{constant} is no JSON")

        return json.loads(self.scripts[0], parse_constant=refuse)

    def of(self, tag, **attributes):
        return [a for t, a in self.tags if t == tag and all(a.get(k.rstrip("_")) == v for k, v in attributes.items())]


def report(kept, **changes):
    arguments = dict(
        title="RSAL mining report",
        class_names=["road", "车辆"],
        settings={"mining_algorithm": "RSAL", "class_balance": True},
        facts={"region threshold": 0.25},
        image_scores=np.arange(1, 2 * kept + 3) / 10,
        kept=kept,
        pool_size=2 * kept + 2,
    )
    return MiningReport(**{**arguments, **changes})


def add(page, rank, name="a.jpg", regions=REGIONS, picture=None, **changes):
    arguments = dict(
        rank=rank, name=name, score=10.0 - rank, regions=regions, pixels=100, mask_file=f"masks/{name}.png"
    )
    page.add(**{**arguments, "overlay_file": f"overlays/{name}.jpg", "picture": picture, **changes})


def written(page, tmp_path):
    path = tmp_path / "mining-report.html"
    page.write(path)
    return Page(path)


@pytest.fixture
def picture():
    return np.full((48, 64, 3), (10, 200, 30), np.uint8)


@pytest.mark.parametrize("kept", [0, 1, 59, 60, 61, 119, 120, 121, 300, 5000])
def test_pictures_are_of_the_best_and_of_an_even_spread_over_the_rest(kept):
    page = report(kept)
    ranks = [rank for rank in range(kept + 5) if page.wants_picture(rank)]
    assert len(ranks) == min(kept, 120)
    assert ranks[:60] == list(range(min(kept, 60)))
    if kept:
        assert ranks[-1] == kept - 1
    steps = set(np.diff(ranks[59:]).tolist())
    assert not steps or max(steps) - min(steps) <= 1


def test_the_page_needs_nothing_beside_it(tmp_path, picture):
    page = report(3, class_names=["<b>", "http://evil.example/x.js"])
    for rank in range(3):
        add(page, rank, picture=picture)
    page = written(page, tmp_path)
    assert page.urls
    assert all(url.startswith(("data:image/jpeg;base64,", "./masks/", "./overlays/")) for url in page.urls)
    assert not [tag for tag, _ in page.tags if tag in ("link", "iframe", "object", "embed", "base", "form")]
    style = re.search(r"<style>(.*?)</style>", page.html, re.DOTALL).group(1)
    assert "@import" not in style and "url(" not in style
    policy = page.of("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-")
    assert "http" not in policy and "*" not in policy


def test_hostile_names_are_text_everywhere(tmp_path, picture):
    page = report(
        len(HOSTILE),
        title=HOSTILE[0],
        class_names=HOSTILE,
        settings={name: name for name in HOSTILE},
        facts={name: {name: name} for name in HOSTILE},
    )
    for rank, name in enumerate(HOSTILE):
        add(page, rank, name, [ReportRegion(rank, 0.5, 10)], picture)
    page = written(page, tmp_path)
    assert len(page.scripts) == 2 and not page.handlers
    assert len(page.of("img")) == len(HOSTILE)
    assert [row[1] for row in page.data["images"]] == HOSTILE
    assert [name for name, _ in page.data["classes"].values()] == HOSTILE
    assert [unquote(row[7]) for row in page.data["images"]] == [f"./overlays/{name}.jpg" for name in HOSTILE]
    for name, image, title in zip(HOSTILE, page.of("img"), [a["title"] for a in page.of("bdi") if "title" in a]):
        shown = re.sub("[\u2028\u2029]", " ", name)
        assert title.replace("\u2028", " ").replace("\u2029", " ") == shown
        assert image["alt"].startswith(title)
    links = [attributes["href"] for attributes in page.of("a")]
    assert [unquote(link) for link in links] == [f"./overlays/{name}.jpg" for name in HOSTILE]
    assert not any(set("<>\"'# ?") & set(link) for link in links)


def test_names_that_are_no_utf8_are_written(tmp_path, picture):
    page = report(1)
    add(page, 0, "\udcff\udc80.jpg", picture=picture)
    page = written(page, tmp_path)
    assert page.data["images"][0][6] == "./masks/%FF%80.jpg.png"


def test_everything_about_an_image_is_told(tmp_path, picture):
    regions = [ReportRegion(1, 0.25, 5), ReportRegion(0, 0.75, 20), ReportRegion(1, 0.5, 25), ReportRegion(7, 0.1, 1)]
    page = report(2)
    add(page, 1, "second.jpg", regions=[], overlay_file=None)
    add(page, 0, "first.jpg", regions, picture, score=1.5)
    page = written(page, tmp_path)
    assert page.data["images"] == [
        [1, "first.jpg", 1.5, 4, 100, [[1, 30], [0, 20], [7, 1]], "./masks/first.jpg.png", "./overlays/first.jpg.jpg"],
        [2, "second.jpg", 9.0, 0, 100, [], "./masks/second.jpg.png", None],
    ]
    assert page.data["classes"]["7"] == ["class 7", "#8a8f98"]
    assert "1 first.jpg score 1.5 · 4 regions · 51.0% area" in page.words
    assert "车辆 2 0.5 30.0% road 1 0.75 20.0% class 7 1 0.1 1.0%" in page.words
    assert page.of("img")[0]["alt"] == "first.jpg with its regions to label outlined: 车辆, road, class 7"
    assert "Area to label in kept images 25.5%" in page.words
    assert "车辆 58.8% road 39.2% class 7 2.0%" in page.words


def test_the_story_tells_what_was_kept_and_why(tmp_path):
    created = datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.timezone.utc)
    page = report(
        2,
        skipped=1,
        pool_size=7,
        facts={"region_threshold": 0.123456, "class weights": {0: 0.5, np.int64(1): 0.25}, "note": None},
        settings={"mining_algorithm": "RSAL", "fp16": False, "max_kept_mining_image": 5000, "image_size": ""},
        created=created,
    )
    add(page, 0, regions=[ReportRegion(0, 1, 10)] * 2)
    add(page, 1)
    page = written(page, tmp_path)
    assert (
        "2 images of 7 were kept: those with the highest scores, from 0.6 down to 0.5. In them 3 regions are to be "
        "labelled: 15.0% of their area. 1 image could not be read and was skipped."
    ) in page.words
    assert "Region threshold 0.1235" in page.words
    assert "Class weights road 0.5 车辆 0.25" in page.words
    assert "Note –" in page.words
    assert "mining_algorithm RSAL fp16 False max_kept_mining_image 5,000 image_size –" in page.words
    assert "2 images of 7 kept · 2 classes · 2026-01-02 03:04 UTC" in page.words
    assert "cut 0.5" in page.words


def test_the_classes_of_the_pool_are_compared_with(tmp_path):
    page = report(1, pool_class_pixels=np.array([75, 25]))
    add(page, 0)
    page = written(page, tmp_path)
    assert "road 100% pool 75.0% 车辆 0% pool 25.0%" in page.words
    assert "its share in the whole pool" in page.words


def test_a_page_about_nothing(tmp_path):
    page = written(report(0, image_scores=np.zeros(0), pool_size=0, class_names=[], facts={}, settings={}), tmp_path)
    assert page.data == {"classes": {}, "images": []}
    assert "No image was kept." in page.words and "There are no pictures." in page.words


def test_one_image_of_one_class(tmp_path, picture):
    page = report(1, class_names=["road"], image_scores=np.array([2.5]), pool_size=1)
    add(page, 0, picture=picture)
    page = written(page, tmp_path)
    assert "1 image of 1 was kept, with a score of 2.5. In them 1 region is to be labelled" in page.words
    assert "cut" not in re.sub("[^a-z ]", "", page.words).split()
    assert len(page.of("img")) == 1


def test_nan_is_never_printed(tmp_path, picture):
    page = report(
        2,
        image_scores=np.array([math.nan, 1.0, -math.inf, math.inf]),
        facts={"threshold": math.inf, "weights": {0: math.nan}, "list": [math.nan]},
        settings={"x": math.nan},
        pool_class_pixels=[0, 0],
    )
    add(page, 0, score=math.nan, regions=[ReportRegion(0, math.nan, 1)], picture=picture)
    add(page, 1, score=-math.inf, regions=[], picture=picture, pixels=0)
    page = written(page, tmp_path)
    assert [row[2] for row in page.data["images"]] == [None, None]
    for where in [page.words, *(v for _, a in page.tags for v in a.values() if v and not v.startswith("data:"))]:
        assert not re.search(r"(?<![a-z])-?(nan|inf|infinity)(?![a-z])", where, re.IGNORECASE)


def test_regions_of_no_class_are_told_too(tmp_path, picture):
    page = report(1)
    add(page, 0, regions=[ReportRegion(-1, 0.5, 100)], picture=picture)
    page = written(page, tmp_path)
    assert page.data["classes"]["-1"] == ["no class", "#8a8f98"]
    assert "no class 1 0.5 100%" in page.words and "no class 100%" in page.words


def test_numpy_numbers_are_taken(tmp_path):
    page = report(1)
    region = ReportRegion(np.int32(1), np.float64(0.5), np.int32(9))
    add(page, np.int64(0), regions=[region], score=np.float64(3), pixels=np.int64(90))
    assert written(page, tmp_path).data["images"][0][:6] == [1, "a.jpg", 3.0, 1, 90, [[1, 9]]]


def test_five_thousand_images_stay_below_ten_megabytes(tmp_path):
    # Its thumbnail has almost as many bytes as one may have.
    noise = np.random.default_rng(0).integers(0, 256, (235, 235, 3), dtype=np.uint8)
    assert 35_000 < len(encode_jpeg(noise, 80)) < 40_000
    page = report(5000, class_names=[f"class number {i}" for i in range(19)])
    regions = [ReportRegion(i, 0.1 * i, 100 + i) for i in range(12)]
    for rank in range(5000):
        add(page, rank, f"道路_{rank:06d}_leftImg8bit_with_a_long_name.jpg", regions, noise, pixels=1 << 21)
    path = tmp_path / "mining-report.html"
    page.write(path)
    assert path.stat().st_size < 10e6
    page = Page(path)
    assert [row[0] for row in page.data["images"]] == list(range(1, 5001))
    assert len(page.of("img")) == 120
    assert "All kept images (5,000)" in page.words


def test_thumbnails_are_small_and_keep_the_proportions(tmp_path):
    image = np.full((1024, 2048, 3), (10, 200, 30), np.uint8)
    page = report(1)
    add(page, 0, picture=image)
    shown = written(page, tmp_path).of("img")[0]
    encoded = base64.b64decode(shown["src"].split(",")[1])
    decoded = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (256, 512, 3) == (int(shown["height"]), int(shown["width"]), 3)
    assert np.abs(decoded.astype(int) - (10, 200, 30)).max() <= 4


def test_thumbnails_have_few_bytes_whatever_they_show(tmp_path):
    # Noise is what JPEG compresses worst.
    noise = np.random.default_rng(0).integers(0, 256, (600, 900, 3), dtype=np.uint8)
    page = report(1)
    add(page, 0, picture=noise)
    shown = written(page, tmp_path).of("img")[0]
    assert 5_000 < len(base64.b64decode(shown["src"].split(",")[1])) <= 40_000


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1)])
def test_thumbnails_of_slim_images(tmp_path, shape):
    page = report(1)
    add(page, 0, picture=np.zeros((*shape, 3), np.uint8))
    assert len(written(page, tmp_path).of("img")) == 1


def test_pictures_beyond_the_sample_are_not_kept(tmp_path, picture):
    page = report(5000)
    add(page, 61, picture=picture)
    assert not page.wants_picture(61)
    assert not written(page, tmp_path).of("img")


def test_an_image_without_files_is_no_link(tmp_path, picture):
    page = report(1)
    add(page, 0, picture=picture, mask_file=None, overlay_file=None)
    page = written(page, tmp_path)
    assert not page.of("a") and page.of("div", class_="frame")
    assert page.data["images"][0][6:] == [None, None]


def test_a_rank_is_told_about_once(tmp_path):
    page = report(2)
    add(page, 0)
    for rank in (0, 2, -1):
        with pytest.raises(ValueError, match=f"rank {rank} "):
            add(page, rank)


def test_the_page_is_replaced_as_a_whole(tmp_path):
    page = report(1)
    add(page, 0)
    first = written(page, tmp_path).html
    assert written(page, tmp_path).html == first
    assert [file.name for file in tmp_path.iterdir()] == ["mining-report.html"]


# Uses the page as a person does and writes down what it shows.
DRIVER = """<!DOCTYPE html><meta charset="utf-8"><iframe id="page" src="mining-report.html"></iframe>
<pre id="seen"></pre>
<script>
document.getElementById("page").onload = function () {
  var page = this.contentDocument, seen = {};
  function look(step) {
    var all = function (selector) { return Array.from(page.querySelectorAll(selector)); };
    seen[step] = {
      names: all("#rows .name").map(function (cell) { return cell.textContent; }),
      status: page.getElementById("status").textContent,
      sorted: all("th[aria-sort]").map(function (th) { return th.textContent + " " + th.getAttribute("aria-sort"); }),
      first: all("#rows tr:first-child td").map(function (cell) { return cell.textContent; }),
      links: all("#rows a").map(function (link) { return link.getAttribute("href"); }),
      disabled: ["back", "next"].map(function (id) { return page.getElementById(id).disabled; }),
    };
  }
  function change(id, value, event) {
    page.getElementById(id).value = value;
    page.getElementById(id).dispatchEvent(new Event(event));
  }
  function sort(column) { page.querySelectorAll("thead button")[column].click(); }
  look("start");
  page.getElementById("next").click(); look("next");
  page.getElementById("back").click(); look("back");
  change("size", "100", "change"); look("100 a page");
  sort(2); look("by score, falling");
  sort(2); look("by score, rising");
  sort(3); look("by regions");
  sort(1); look("by name");
  sort(0); look("by rank");
  change("filter", "IMAGE 1", "input"); look("filtered");
  change("filter", "nowhere", "input"); look("nothing");
  change("filter", "", "input"); change("class", "1", "change"); look("of a class");
  seen.title = page.title;
  document.getElementById("seen").textContent = JSON.stringify(seen);
};
</script>"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What a browser shows of a page about 71 images; those with hostile names are the best."""
    if shutil.which("chromium") is None:
        pytest.skip("there is no chromium")
    folder = tmp_path_factory.mktemp("browser")
    page = report(60 + len(HOSTILE), title="safe")
    for rank, name in enumerate(HOSTILE):
        add(page, rank, name)
    for rank in range(len(HOSTILE), 60 + len(HOSTILE)):
        regions = REGIONS if rank % 10 else [ReportRegion(1, 0.5, 10), ReportRegion(0, 0.5, 9)]
        score = math.nan if rank == 30 else 7.0 if rank == 31 else 10 - rank / 9
        add(page, rank, f"image {rank}.jpg", regions, overlay_file=None, score=score)
    page.write(folder / "mining-report.html")
    (folder / "driver.html").write_text(DRIVER, encoding="utf-8")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += ["--allow-file-access-from-files", f"--user-data-dir={folder / 'profile'}"]
    command += ["--virtual-time-budget=20000", "--dump-dom", (folder / "driver.html").as_uri()]
    with (folder / "drawn.html").open("wb") as stream:
        subprocess.run(command, stdout=stream, stderr=subprocess.DEVNULL, timeout=120, check=True)
    drawn = (folder / "drawn.html").read_text(encoding="utf-8")
    return json.loads(html.unescape(re.search('<pre id="seen">(.*?)</pre>', drawn, re.DOTALL).group(1)))


def images(*ranks):
    return [f"image {rank}.jpg" for rank in ranks]


def test_a_browser_shows_the_table_and_runs_no_other_script(seen):
    start = seen["start"]
    assert seen["title"] == "safe"
    assert start["names"] == HOSTILE + images(*range(len(HOSTILE), 50))
    assert start["status"] == "1 to 50 of 71" and start["sorted"] == ["Rank ascending"]
    assert start["first"] == ["1", HOSTILE[0], "10", "1", "10.0%", "road10.0%", "overlaymask"]
    assert [unquote(link) for link in start["links"][:2]] == [
        f"./overlays/{HOSTILE[0]}.jpg",
        f"./masks/{HOSTILE[0]}.png",
    ]
    assert len(start["links"]) == 50 + len(HOSTILE)


def test_the_table_has_pages(seen):
    assert seen["start"]["disabled"] == [True, False]
    assert seen["next"]["names"] == images(*range(50, 71))
    assert seen["next"]["status"] == "51 to 71 of 71" and seen["next"]["disabled"] == [False, True]
    assert seen["back"] == seen["start"]
    assert len(seen["100 a page"]["names"]) == 71


def test_the_table_is_sorted_by_a_click(seen):
    falling, rising = seen["by score, falling"], seen["by score, rising"]
    assert falling["sorted"] == ["Score descending"] and rising["sorted"] == ["Score ascending"]
    # Rank 30 has no score, and rank 31 that of rank 27.
    assert falling["names"][:3] == HOSTILE[:2] + images(11)
    assert falling["names"][-1:] == rising["names"][:1] == images(30)
    assert falling["names"].index("image 31.jpg") == falling["names"].index("image 27.jpg") + 1
    assert rising["first"][2] == "–"
    assert seen["by regions"]["names"][:6] == images(20, 30, 40, 50, 60, 70)
    named = [name for name in seen["by name"]["names"] if name.startswith("image")]
    # As people count, not by their letters.
    assert named == images(*range(11, 71))
    assert seen["by rank"]["names"] == seen["100 a page"]["names"]


def test_the_table_is_searched_by_name_and_by_class(seen):
    assert seen["filtered"]["names"] == images(*range(11, 20))
    assert seen["nothing"]["names"] == [] and seen["nothing"]["status"] == "No image fits."
    assert seen["of a class"]["names"] == images(20, 30, 40, 50, 60, 70)
    assert seen["of a class"]["first"][3:6] == ["2", "19.0%", "车辆10.0%road9.0%"]

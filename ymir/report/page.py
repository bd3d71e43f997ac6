"""The page that shows people what mining chose, and why: mining-report.html."""

import base64
import datetime
import hashlib
import math
import re
from pathlib import Path
from typing import Any, Dict, FrozenSet, List, Mapping, Optional, Sequence

import numpy as np

from ymir.atomic import replacing
from ymir.report.cards import ClassLegend, ReportRegion, class_shares, picture_card
from ymir.report.charts import class_chart, score_chart
from ymir.report.formatting import counted, describe, json_island, link, number, share, text

_TEMPLATE = Path(__file__).with_name("page.html")
_MARKER = re.compile(r"\{\{(\w+)\}\}")
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)

# The images shown as pictures: so many of the best, and so many spread evenly over the rest.
_BEST_SHOWN, _SPREAD_SHOWN = 60, 60


class MiningReport:
    """Collects what is told about the kept images and writes it as one HTML file that needs nothing beside it; it
    links to the masks and overlays.

    An image takes some hundred bytes, a thumbnail at most 40,000; there are at most 120 of those.

    Args:
        title: the heading of the page.
        class_names: of the classes that the network predicts; class i has the i-th colour of `generate_palette`.
        settings: hyper-parameters by their names.
        facts: what the selection went by, e.g. a threshold, by a name in words. A value may be a mapping; its keys are
            texts or the ids of classes.
        image_scores: scores of all images that could be read, in any order; NaN and infinite ones are counted only.
        kept: how many images are kept.
        pool_size: how many images there were, skipped ones among them.
        skipped: how many of them could not be read.
        created: when mining was done.
        pool_class_pixels: how many pixels of the whole pool were predicted as each class, to compare the chosen
            regions with.
    """

    def __init__(
        self,
        *,
        title: str,
        class_names: Sequence[str],
        settings: Mapping[str, Any],
        facts: Mapping[str, Any],
        image_scores: np.ndarray,
        kept: int,
        pool_size: int,
        skipped: int = 0,
        created: Optional[datetime.datetime] = None,
        pool_class_pixels: Optional[Sequence[float]] = None,
    ) -> None:
        self._title = title
        self._legend = ClassLegend(class_names)
        self._settings = dict(settings)
        self._facts = dict(facts)
        self._image_scores = np.asarray(image_scores, np.float64).reshape(-1)
        self._kept = kept
        self._pool_size = pool_size
        self._skipped = skipped
        self._created = created
        self._pool_class_pixels = pool_class_pixels
        self._pictured = _sample(kept)
        self._rows: Dict[int, str] = {}
        self._cards: Dict[int, str] = {}
        self._aspects: List[float] = []
        self._region_count = 0
        self._pixels = 0
        self._class_pixels: Dict[int, int] = {}

    def wants_picture(self, rank: int) -> bool:
        """Whether the image of that rank, from 0 for the best, is among those shown as pictures."""
        return rank in self._pictured

    def add(
        self,
        *,
        rank: int,
        name: str,
        score: float,
        regions: Sequence[ReportRegion],
        pixels: int,
        mask_file: Optional[str],
        overlay_file: Optional[str],
        picture: Optional[np.ndarray] = None,
    ) -> None:
        """Tell about one kept image, in any order of ranks.

        Args:
            rank: 0 for the best image.
            name: of the image, as people know it.
            score: of the image.
            regions: those to label.
            pixels: of the image.
            mask_file: the mask's path relative to the page, None where there is none.
            overlay_file: likewise of the overlay.
            picture: (H, W, 3) uint8, BGR, the image with its regions outlined; of any size. It is shown where
                `wants_picture(rank)`.

        Raises:
            ValueError: the rank is not one of a kept image, or was told about before.
        """
        if not 0 <= rank < self._kept or rank in self._rows:
            raise ValueError(f"rank {rank} was added before, or is none of the {self._kept} kept images")
        classes = class_shares(regions)
        for entry in classes:
            self._class_pixels[entry.class_id] = self._class_pixels.get(entry.class_id, 0) + entry.pixels
        self._region_count += len(regions)
        self._pixels += int(pixels)
        mask = None if mask_file is None else link(mask_file)
        overlay = None if overlay_file is None else link(overlay_file)
        known_score = float(f"{score:.6g}") if math.isfinite(score) else None
        of_class = [[entry.class_id, entry.pixels] for entry in classes]
        row = [int(rank) + 1, name, known_score, len(regions), int(pixels), of_class, mask, overlay]
        self._rows[rank] = json_island(row)
        if picture is not None and self.wants_picture(rank):
            self._aspects.append(picture.shape[1] / picture.shape[0])
            self._cards[rank] = picture_card(
                rank=rank + 1,
                name=name,
                score=score,
                classes=classes,
                pixels=pixels,
                target=overlay or mask,
                picture=picture,
                legend=self._legend,
            )

    def write(self, path: Path) -> None:
        """Write the page.

        Raises:
            OSError: the file cannot be written; one that was there before stays as it was.
        """
        template = _TEMPLATE.read_text(encoding="utf-8")
        content = self._content()
        content["script_hash"] = _script_hash(template)
        # The markers are filled in one pass, so that what is filled in is not searched for them.
        page = _MARKER.sub(lambda marker: content[marker.group(1)], template)
        with replacing(Path(path), durable=False) as stream:
            stream.write(page)

    def _content(self) -> Dict[str, str]:
        ranks = sorted(self._cards)
        best = [self._cards[rank] for rank in ranks if rank < _BEST_SHOWN]
        spread = [self._cards[rank] for rank in ranks if rank >= _BEST_SHOWN]
        rows = ",\n".join(self._rows[rank] for rank in sorted(self._rows))
        classes = {
            class_id: [self._legend.name(class_id), self._legend.colour(class_id)] for class_id in self._class_ids()
        }
        return {
            "title": text(self._title),
            "subtitle": self._subtitle(),
            "tiles": self._tiles(),
            "story": self._story(),
            "facts": self._fact_list(),
            "settings": _definitions({name: _setting(value) for name, value in self._settings.items()}, "settings"),
            "score_chart": score_chart(self._image_scores, self._kept),
            "class_chart": self._class_chart(),
            "class_note": self._class_note(),
            "aspect": f"{self._aspect():.3f}",
            "best": _gallery("Best images", best),
            "spread": _gallery("Spread over the other kept images", spread) if spread else "",
            "row_count": number(len(self._rows)),
            "data": f'{{"classes":{json_island(classes)},"images":[\n{rows}\n]}}',
        }

    def _class_ids(self) -> List[int]:
        return sorted({*range(len(self._legend)), *self._class_pixels})

    def _subtitle(self) -> str:
        parts = [f"{counted(self._kept, 'image')} of {number(self._pool_size)} kept"]
        parts.append(counted(len(self._legend), "class", "classes"))
        if self._created is not None:
            parts.append(text(self._created.strftime("%Y-%m-%d %H:%M %Z").strip()))
        return " · ".join(parts)

    def _tiles(self) -> str:
        chosen = sum(self._class_pixels.values())
        tiles = [
            ("Images in the pool", number(self._pool_size)),
            ("Kept for labelling", number(self._kept)),
            ("Regions to label", number(self._region_count)),
            ("Area to label in kept images", share(chosen, self._pixels)),
            ("Skipped as unreadable", number(self._skipped)),
        ]
        return "".join(f"<div><dt>{label}</dt><dd>{value}</dd></div>" for label, value in tiles)

    def _story(self) -> str:
        finite = self._image_scores[np.isfinite(self._image_scores)]
        if not self._kept:
            return "No image was kept."
        story = f"{counted(self._kept, 'image')} of {number(self._pool_size)} "
        story += "was kept" if self._kept == 1 else "were kept"
        if len(finite):
            best = np.sort(finite)[::-1][: self._kept]
            high, low = number(float(best[0])), number(float(best[-1]))
            if self._kept < len(finite):
                story += ": those with the highest scores"
            story += f", from {high} down to {low}" if high != low else f", with a score of {high}"
        story += f". In them {counted(self._region_count, 'region')} "
        story += "is" if self._region_count == 1 else "are"
        story += " to be labelled"
        chosen = sum(self._class_pixels.values())
        story += f": {share(chosen, self._pixels)} of their area." if chosen else "."
        if self._skipped:
            story += f" {counted(self._skipped, 'image')} could not be read and "
            story += "was skipped." if self._skipped == 1 else "were skipped."
        return text(story)

    def _fact_list(self) -> str:
        items = {}
        for name, value in self._facts.items():
            words = str(name).replace("_", " ")
            if isinstance(value, Mapping) and value:
                pairs = "".join(f"<li><bdi>{self._key(k)}</bdi> {text(describe(v))}</li>" for k, v in value.items())
                shown = f'<ul class="pairs">{pairs}</ul>'
            else:
                shown = f"<bdi>{text(describe(value))}</bdi>"
            items[words[:1].upper() + words[1:]] = shown
        return _definitions(items, "facts")

    def _key(self, key: Any) -> str:
        """The key of a fact that is a mapping, as HTML: whole numbers are classes."""
        return text(self._legend.name(int(key)) if isinstance(key, (int, np.integer)) else key)

    def _class_chart(self) -> str:
        ids = self._class_ids()
        pool = self._pool_class_pixels
        if pool is not None:
            pool = [float(pool[class_id]) if 0 <= class_id < len(pool) else 0.0 for class_id in ids]
        return class_chart(
            names=[self._legend.name(class_id) for class_id in ids],
            colours=[self._legend.colour(class_id) for class_id in ids],
            chosen=[self._class_pixels.get(class_id, 0) for class_id in ids],
            pool=pool,
        )

    def _class_note(self) -> str:
        note = "Share of each predicted class in the area of the regions to label"
        if self._pool_class_pixels is None:
            return note + "."
        return note + '; <span class="key pool"></span>its share in the whole pool.'

    def _aspect(self) -> float:
        """Width over height of the pictures' frames: that of most pictures, within reason."""
        return min(2.2, max(1.0, float(np.median(self._aspects)))) if self._aspects else 1.5


def _sample(kept: int) -> FrozenSet[int]:
    """The ranks of the images shown as pictures."""
    best = min(kept, _BEST_SHOWN)
    spread = min(kept - best, _SPREAD_SHOWN)
    # The last of all kept images is among them: it shows what lies at the cut.
    return frozenset(range(best)) | {best + (i + 1) * (kept - best) // spread - 1 for i in range(spread)}


def _definitions(items: Mapping[str, str], kind: str) -> str:
    """A definition list of names and HTML."""
    entries = "".join(f"<div><dt>{text(name)}</dt><dd>{value}</dd></div>" for name, value in items.items())
    return f'<dl class="{kind}">{entries}</dl>' if entries else ""


def _setting(value: Any) -> str:
    # As it is typed in a configuration.
    return text(value) if isinstance(value, (bool, str)) and value != "" else text(describe(value))


def _gallery(heading: str, cards: Sequence[str]) -> str:
    inside = f'<div class="gallery">{"".join(cards)}</div>' if cards else '<p class="empty">There are no pictures.</p>'
    return f"<section><h2>{heading}</h2>{inside}</section>"


def _script_hash(template: str) -> str:
    """What the page's policy names its script by, so that no other can run."""
    found = _SCRIPT.search(template)
    digest = hashlib.sha256(found.group(1).encode("utf-8")).digest()
    return "sha256-" + base64.b64encode(digest).decode("ascii")

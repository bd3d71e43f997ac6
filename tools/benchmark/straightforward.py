"""Mining and infer in the straightforward way, against which the executor is timed.

One image at a time, whole tensors of probabilities, a loop over superpixels, a loop over classes. The mathematics is
the same, and so are the results but for rounding.
"""

import itertools
import json
import math
from typing import Any, Dict, List, Sequence, Tuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from pycocotools import mask as rle

from mmseg.apis import init_segmentor
from mmseg.config import Config
from mmseg.datasets import Compose

_ITERATIONS = 10


class Network:
    """The network of a package as one would call it by hand: one image at a time, in torch's own memory format unless
    another is given. Formats differ in the order of their sums, and so in last digits."""

    def __init__(
        self, config_file: str, weights_file: str, *, memory_format: torch.memory_format = torch.contiguous_format
    ) -> None:
        cfg = Config.fromfile(config_file)
        self._format = memory_format
        self.model = init_segmentor(cfg, weights_file).to(memory_format=memory_format)
        self._prepare = Compose(cfg.data.test.pipeline)

    def prepare(self, path: str) -> Dict[str, Any]:
        """Decode and transform an image."""
        return self._prepare({"img_info": {"filename": path}, "img_prefix": None})

    @torch.no_grad()
    def small_logits(self, sample: Dict[str, Any]) -> torch.Tensor:
        """The network alone: logits (1, C, h, w) before they are resized."""
        image = sample["img"][0][None].contiguous(memory_format=self._format)
        return self.model.decode(self.model.extract_feat(image))

    @torch.no_grad()
    def probabilities(self, sample: Dict[str, Any], logits: torch.Tensor) -> torch.Tensor:
        """Probabilities (C, H, W) at the image's own size."""
        corners = self.model.align_corners
        seen, own = sample["img"][0].shape[1:], sample["img_metas"][0]["ori_shape"][:2]
        logits = F.interpolate(logits, tuple(seen), mode="bilinear", align_corners=corners)
        height, width = sample["img_metas"][0]["img_shape"][:2]
        logits = F.interpolate(logits[:, :, :height, :width], tuple(own), mode="bilinear", align_corners=corners)
        return F.softmax(logits, dim=1)[0]


def slico(image: np.ndarray, max_count: int) -> np.ndarray:
    """(H, W) labels of OpenCV's SLICO, at most `max_count`, of a BGR image."""
    region_size = max(2, 2 * round(math.sqrt(image.shape[0] * image.shape[1] / max_count)))
    while True:
        superpixels = cv2.ximgproc.createSuperpixelSLIC(image, cv2.ximgproc.SLICO, region_size)
        superpixels.iterate(_ITERATIONS)
        if superpixels.getNumberOfSuperpixels() <= max_count:
            return superpixels.getLabels()
        region_size += 2


def rsal_regions(probabilities: torch.Tensor, labels: np.ndarray) -> List[Tuple[float, int]]:
    """Score and class of each superpixel, one after the other."""
    values = probabilities.numpy()
    ranked = np.sort(values, axis=0)
    uncertainty = ranked[-2] / ranked[-1] if len(ranked) > 1 else np.zeros(labels.shape)
    class_map = np.argmax(values, axis=0)
    regions = []
    for label in range(int(labels.max()) + 1):
        inside = labels == label
        if inside.any():
            votes = np.bincount(class_map[inside], minlength=len(values))
            regions.append((float(uncertainty[inside].mean()), int(votes.argmax())))
    return regions


def rsal_image_scores(pool: Sequence[List[Tuple[float, int]]], *, topk: int, max_kept: int) -> List[float]:
    """Image scores with class balance, from the superpixels of all images."""
    classes = [class_id for regions in pool for _, class_id in regions]
    counts = np.bincount(classes)
    weighed = [[score * math.exp(-counts[class_id] / len(classes)) for score, class_id in regions] for regions in pool]
    percent = round(100 * max(0.8, 1 - max_kept * topk / len(classes)))
    threshold = np.percentile(list(itertools.chain.from_iterable(weighed)), percent)
    scores = []
    for regions in weighed:
        best_first = sorted(regions, reverse=True)
        scores.append(sum(s for place, s in enumerate(best_first) if place < topk or s >= threshold))
    return scores


def ripu_image_score(probabilities: torch.Tensor, *, radius: int, topk: int) -> float:
    """The sum of the best windows that do not overlap, from convolutions over one plane for each class."""
    num_classes, height, width = probabilities.shape
    side = 2 * radius + 1
    entropy = -torch.sum(probabilities * torch.log(probabilities + 1e-12), dim=0) / math.log(num_classes)
    planes = F.one_hot(probabilities.argmax(dim=0), num_classes).permute(2, 0, 1).float()
    ones = torch.ones(num_classes, 1, side, side)
    size = F.conv2d(torch.ones(1, 1, height, width), ones[:1], padding=radius)[0, 0]
    shares = F.conv2d(planes[None], ones, padding=radius, groups=num_classes)[0] / size
    impurity = -torch.sum(shares * torch.log(shares + 1e-12), dim=0) / math.log(num_classes)
    scores = (impurity * F.conv2d(entropy[None, None], ones[:1], padding=radius)[0, 0] / size).numpy()
    total = 0.0
    for _ in range(topk):
        y, x = np.unravel_index(int(scores.argmax()), scores.shape)
        total += float(scores[y, x])
        scores[max(0, y - 2 * radius) : y + 2 * radius + 1, max(0, x - 2 * radius) : x + 2 * radius + 1] = 0
    return total


def mine_rsal(network: Network, images: Sequence[str], *, max_count: int, topk: int, max_kept: int) -> List[float]:
    """RSAL's image scores of a pool."""
    pool = []
    for path in images:
        labels = slico(cv2.imread(path), max_count)
        sample = network.prepare(path)
        pool.append(rsal_regions(network.probabilities(sample, network.small_logits(sample)), labels))
    return rsal_image_scores(pool, topk=topk, max_kept=max_kept)


def annotations(class_map: np.ndarray) -> List[Dict[str, Any]]:
    """COCO annotations, without ids, of the classes in a map (H, W), class by class; category i + 1 is class i."""
    found = []
    for class_id in np.unique(class_map):
        encoded = rle.encode(np.asfortranarray((class_map == class_id).astype(np.uint8)))
        found.append(
            {
                "category_id": int(class_id) + 1,
                "bbox": rle.toBbox(encoded).tolist(),
                "area": int(rle.area(encoded)),
                "iscrowd": 0,
                "segmentation": {"size": list(map(int, encoded["size"])), "counts": encoded["counts"].decode()},
            }
        )
    return found


def infer(network: Network, images: Sequence[str]) -> str:
    """The annotations of all images as JSON, one list an image."""
    results = []
    for path in images:
        sample = network.prepare(path)
        probabilities = network.probabilities(sample, network.small_logits(sample))
        results.append(annotations(probabilities.argmax(dim=0).numpy().astype(np.uint8)))
    return json.dumps(results)

"""Image scores of the old executor's model, against the numbers that were computed from the definitions."""

import json

import cv2
import numpy as np
import pytest
import torch

from mmseg.apis import init_segmentor
from mmseg.datasets import Compose
from tests.reference_data import CAMVID, REFERENCE, needs_camvid, needs_reference
from ymir.mining import build_miner

PACKAGE = REFERENCE / "upstream_model"

pytestmark = [needs_reference, needs_camvid]


@pytest.fixture(scope="module")
def predictions():
    """Names, BGR images and logits at the images' own size."""
    model = init_segmentor(next(PACKAGE.glob("*.py")), next(PACKAGE.glob("*.pth")))
    pipeline = Compose(model.cfg.data.test.pipeline)
    names = [str(name) for name in np.load(PACKAGE / "predictions.npz")["names"]]
    images, logits = [], []
    for name in names:
        path = str(CAMVID / "val" / "images" / name)
        images.append(cv2.imread(path))
        view = pipeline({"img_info": {"filename": path}, "img_prefix": None})["img"][0]
        with torch.no_grad():
            logits.append(model.inference(view[None], images[-1].shape[:2])[0])
    return names, images, logits


@pytest.mark.parametrize("algorithm", ["RSAL", "RIPU"])
def test_image_scores_are_those_of_the_definitions(algorithm, predictions):
    names, images, logits = predictions
    miner = build_miner(
        mining_algorithm=algorithm,
        superpixel_algorithm="slico",
        uncertainty_method="BvSB",
        max_superpixel_per_image=1024,
        max_kept_mining_image=5000,
        topk_superpixel_score=3,
        class_balance=True,
        ripu_region_radius=1,
    )
    pool = [miner.score(output, miner.superpixels(image)) for image, output in zip(images, logits)]
    expected = json.loads((PACKAGE / "defined.json").read_text())[algorithm]
    found = dict(zip(names, miner.select(pool).image_scores))
    assert found.keys() == expected.keys()
    for name, score in expected.items():
        assert found[name] == pytest.approx(score, rel=2e-3), name

"""The model package of the old executor, used through start.py, against what that executor made of the same images."""

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as rle

from tests.end_to_end.start import run_start
from tests.reference_data import CAMVID, REFERENCE, needs_camvid, needs_reference
from tools.demo_task import write_predict_task

PACKAGE = REFERENCE / "upstream_model"
CLASSES = [
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "signsymbol",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
]

pytestmark = [needs_reference, needs_camvid]


@pytest.fixture(scope="module", params=["RSAL", "RIPU"])
def finished(request, tmp_path_factory):
    """The output folder of mining and infer together over the reference images."""
    root = tmp_path_factory.mktemp("package")
    (root / "in").mkdir()
    names = np.load(PACKAGE / "predictions.npz")["names"]
    images = [CAMVID / "val" / "images" / name for name in names]
    (root / "in" / "candidate-index.tsv").write_text("".join(f"{image}\n" for image in images))
    weights, config = sorted(PACKAGE.glob("*.pth")), sorted(PACKAGE.glob("*.py"))
    env = write_predict_task(
        root, weights + config, class_names=CLASSES, mining_algorithm=request.param, samples_per_gpu=3
    )
    run = run_start(env)
    assert run.status == 0, run.output
    return request.param, env.parent / "out"


def test_the_class_maps_are_the_old_ones(finished):
    _, out = finished
    result = json.loads((out / "infer-result.json").read_text())
    expected = np.load(PACKAGE / "predictions.npz")
    index = {category["id"]: CLASSES.index(category["name"]) for category in result["categories"]}
    rows = {image["id"]: list(expected["names"]).index(image["file_name"]) for image in result["images"]}
    maps = np.full_like(expected["classes"], 255)
    for annotation in result["annotations"]:
        drawn = rle.decode(annotation["segmentation"]).astype(bool)
        maps[rows[annotation["image_id"]]][drawn] = index[annotation["category_id"]]
    agreement = (maps == expected["classes"]).mean(axis=(1, 2))
    assert agreement.min() >= 0.999


def test_the_mining_scores_are_those_of_the_definitions(finished):
    algorithm, out = finished
    expected = json.loads((PACKAGE / "defined.json").read_text())[algorithm]
    lines = [line.split("\t") for line in (out / "result.tsv").read_text().splitlines()]
    scores = {Path(path).name: float(score) for path, score in lines}
    assert scores.keys() == expected.keys()
    for name, score in expected.items():
        assert scores[name] == pytest.approx(score, rel=2e-3), name
    assert len(list((out / "masks").iterdir())) == len(expected)

"""Infer and mining in a group of processes that a launcher started."""

import json

import numpy as np
import pytest
import torch
from pycocotools import mask as rle

from tests.end_to_end.start import run_start
from tests.end_to_end.test_launchers import by_launcher, by_slurm
from tools.benchmark import straightforward
from tools.benchmark.untrained_package import write_untrained_package
from tools.demo_data import write_data
from tools.demo_task import write_predict_task

CLASSES = [f"class-{index}" for index in range(4)]
SETTINGS = {
    "class_names": CLASSES,
    "samples_per_gpu": 2,
    "workers_per_gpu": 1,
    "max_superpixel_per_image": 40,
    "max_kept_mining_image": 3,
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("launched")
    write_data(root, train=1, val=1, candidates=9, size=(160, 128))
    return root


@pytest.fixture(scope="module")
def package(root):
    images = (root / "in" / "candidate-index.tsv").read_text().splitlines()
    return write_untrained_package(root / "package", images[:4], num_classes=len(CLASSES), size=(160, 128))


@pytest.fixture(scope="module")
def alone(root, package):
    env = write_predict_task(root, package, name="alone", **SETTINGS)
    run = run_start(env)
    assert run.status == 0, run.output
    return results(env)


def results(env):
    out = env.parent / "out"
    files = [out / "result.tsv", out / "infer-result.json", *sorted((out / "masks").iterdir())]
    return {path.name: path.read_bytes() for path in files}


@pytest.mark.parametrize("start", [by_launcher, by_slurm])
def test_a_group_gives_the_same_files_as_a_process_alone(root, package, alone, start):
    env = write_predict_task(root, package, name=start.__name__, **SETTINGS)
    runs = start(env)
    assert [run.finish() for run in runs] == [0] * len(runs), "".join(run.output for run in runs)
    assert results(env) == alone
    assert runs[0].record[2:4] == ["1.000000", "2"]
    assert not (env.parent / "out" / "journal").exists()


def test_infer_is_the_network_image_by_image_and_class_by_class(root, package, alone):
    """Without training all classes are about as likely, so that any difference in the last digits would show."""
    result = json.loads(alone["infer-result.json"])
    plain = straightforward.Network(*package, memory_format=torch.channels_last)
    paths = (root / "in" / "candidate-index.tsv").read_text().splitlines()
    assert [image["file_name"] for image in result["images"]] == [path.rsplit("/", 1)[1] for path in paths]
    for image, path in zip(result["images"], paths):
        sample = plain.prepare(path)
        class_map = plain.probabilities(sample, plain.small_logits(sample)).argmax(0).numpy()
        found = [item["segmentation"]["counts"] for item in result["annotations"] if item["image_id"] == image["id"]]
        masks = [np.asfortranarray(class_map == class_id, dtype=np.uint8) for class_id in np.unique(class_map)]
        assert found == [rle.encode(mask)["counts"].decode() for mask in masks]

"""Whole trainings with what configs ask for beside the plain data set and the plain evaluation."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mmseg.apis.train import JSON_LOG, train_segmentor
from mmseg.config import Config
from mmseg.datasets import build_dataset, read_mask
from mmseg.engine.callbacks import Callback
from mmseg.engine.checkpoint import load_checkpoint
from mmseg.engine.metrics import ConfusionMatrix
from mmseg.models import build_segmentor
from tests.engine.tiny import NORMALIZE, full_cfg, test_set_cfg, write_images


def records(out, mode):
    lines = (out / JSON_LOG).read_text(encoding="utf-8").splitlines()
    return [record for record in map(json.loads, lines) if record["mode"] == mode]


def train(cfg, folder, out, **options):
    """Through a config file, as a user has it."""
    Config(cfg).dump(folder / "config.py")
    return train_segmentor(Config.fromfile(folder / "config.py"), work_dir=folder / out, seed=7, **options)


def wrapped(cfg):
    """All wrappers around the training set of a config: mosaics of a balanced set, several times."""
    inner = dict(cfg["data"]["train"])
    inner["pipeline"] = inner["pipeline"][:2]
    more = dict(inner)
    outer = [
        dict(type="RandomMosaic", prob=0.6, img_scale=(24, 32)),
        dict(type="RandomCrop", crop_size=(16, 16)),
        dict(type="RandomFlip", prob=0.5),
        NORMALIZE,
        dict(type="DefaultFormatBundle"),
        dict(type="Collect", keys=["img", "gt_semantic_seg"]),
    ]
    balanced = dict(type="ClassBalancedDataset", oversample_thr=0.9, dataset=[inner, more])
    mosaics = dict(type="MultiImageMixDataset", dataset=balanced, pipeline=outer)
    cfg["data"]["train"] = dict(type="RepeatDataset", times=2, dataset=mosaics)
    return cfg


def test_a_wrapped_data_set_is_trained_on_in_epochs(tmp_path):
    cfg = wrapped(full_cfg(tmp_path, train=3, norm=True))
    # Each of the three images has all classes: 3 in either of two sets, all twice, in batches of 2.
    cfg.update(runner=dict(type="EpochBasedRunner", max_epochs=2), lr_config=dict(policy="step", step=[1]))
    cfg.update(evaluation=dict(interval=1), checkpoint_config=dict(interval=1))
    result = train(cfg, tmp_path, "out")
    assert result.last.iteration == 12
    assert [record["iter"] for record in records(tmp_path / "out", "val")] == [6, 12]
    rates = [record["lr"] for record in records(tmp_path / "out", "train")]
    assert rates == pytest.approx([0.05] * 6 + [0.005] * 6)


def test_workers_and_an_interruption_change_nothing_in_a_wrapped_data_set(tmp_path):
    cfg = wrapped(full_cfg(tmp_path, train=3, max_iters=6, interval=3, norm=True))
    train(cfg, tmp_path, "whole")
    cfg["data"]["workers_per_gpu"] = 2

    class KillAt4(Callback):
        def on_iteration(self, event):
            if event.iteration == 4:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(cfg, tmp_path, "parts", callbacks=[KillAt4()])
    train(cfg, tmp_path, "parts", resume_from=tmp_path / "parts" / "latest.pth")
    losses = {record["iter"]: record["loss"] for record in records(tmp_path / "parts", "train")}
    assert losses == {record["iter"]: record["loss"] for record in records(tmp_path / "whole", "train")}


@pytest.mark.parametrize("directions", ["horizontal", ["horizontal", "vertical"]])
def test_evaluation_with_views_of_several_scales_and_mirrored(tmp_path, directions):
    ratios = [0.5, 1.0, 1.75]
    cfg = full_cfg(tmp_path, max_iters=6, interval=6, norm=True)
    cfg["data"]["val"] = test_set_cfg(tmp_path / "val" / "index.tsv", flip=True, ratios=ratios)
    cfg["data"]["val"]["pipeline"][1]["flip_direction"] = directions
    cfg["data"]["val_dataloader"] = dict(samples_per_gpu=2)
    write_images(tmp_path / "val", 3, seed=2)
    train(cfg, tmp_path, "out")
    (found,) = records(tmp_path / "out", "val")

    model = build_segmentor(cfg["model"])
    model.load_state_dict(load_checkpoint(tmp_path / "out" / "latest.pth")["state_dict"])
    model.eval()
    # Single views of the same images, each scaled, mirrored, predicted and mirrored back by itself.
    confusion = ConfusionMatrix(3)
    single = [build_dataset(test_set_cfg(tmp_path / "val" / "index.tsv", ratios=[ratio])) for ratio in ratios]
    names = [directions] if isinstance(directions, str) else directions
    for number in range(3):
        mask = read_mask(single[0].masks[number])
        mean = 0
        for dataset, name, mirrored in itertools.product(single, names, (False, True)):
            image = torch.as_tensor(dataset[number]["img"][0])[None]
            axis = 3 if name == "horizontal" else 2
            with torch.no_grad():
                logits = model.inference(image.flip(axis) if mirrored else image, mask.shape)
            probabilities = torch.softmax(logits, dim=1)
            mean = mean + (probabilities.flip(axis) if mirrored else probabilities)
        confusion.update(mean.argmax(1)[0], mask)
    expected = confusion.metrics()
    assert (found["mIoU"], found["aAcc"]) == pytest.approx((expected.mIoU, expected.aAcc), abs=1e-3)
    assert not np.isclose(found["aAcc"], 1.0)


def test_evaluation_on_several_data_sets_counts_all_their_pixels(tmp_path):
    cfg = full_cfg(tmp_path, max_iters=4, interval=4, norm=True)
    both = [cfg["data"]["val"], test_set_cfg(write_images(tmp_path / "more", 2, size=(20, 28), seed=5))]
    index = tmp_path / "joined.tsv"
    index.write_text("".join(Path(part["index_file"]).read_text(encoding="utf-8") for part in both), encoding="utf-8")
    cfg["data"]["val"] = test_set_cfg(index)
    train(cfg, tmp_path, "one")
    cfg["data"]["val"] = both
    train(cfg, tmp_path, "two")
    (one,), (two,) = records(tmp_path / "one", "val"), records(tmp_path / "two", "val")
    assert two["mIoU"] == one["mIoU"] and two["aAcc"] == one["aAcc"]

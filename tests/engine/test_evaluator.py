import cv2
import numpy as np
import pytest
import torch

from mmseg.datasets import build_dataset, build_test_loader, read_mask
from mmseg.engine.distributed import launch
from mmseg.engine.evaluator import build_evaluation_loader, evaluate
from mmseg.engine.metrics import ConfusionMatrix
from mmseg.engine.prediction import batch_predictions
from mmseg.errors import ConfigError, DataError
from tests.engine.tiny import make_model, test_set_cfg, write_images


def run(index, scale=(32, 24), samples=2, workers=0, keep_pictures=0, on_progress=None, **cfg):
    dataset = build_dataset(test_set_cfg(index, scale=scale, **cfg))
    loader = build_evaluation_loader(dataset, samples_per_gpu=samples, workers_per_gpu=workers)
    model = make_model(norm=True)
    return evaluate(model, loader, dataset, "cpu", on_progress=on_progress, keep_pictures=keep_pictures)


def mixed_images(folder):
    """An index of images of two sizes, one after the other."""
    first = write_images(folder / "a", 2, size=(24, 32), seed=3)
    second = write_images(folder / "b", 3, size=(40, 28), seed=4)
    index = folder / "index.tsv"
    index.write_text(first.read_text() + second.read_text())
    return index


def test_equals_predicting_one_image_after_the_other(tmp_path):
    index = mixed_images(tmp_path)
    metrics = run(index, scale=(64, 48), samples=3)
    dataset = build_dataset(test_set_cfg(index, scale=(64, 48)))
    model = make_model(norm=True).eval()
    confusion = ConfusionMatrix(3)
    for number in range(len(dataset)):
        pixels = torch.as_tensor(dataset[number]["img"][0])[None]
        mask = read_mask(dataset.masks[number])
        logits = model.inference(pixels, mask.shape)
        confusion.update(logits.argmax(1)[0], mask)
    assert metrics.to_dict() == confusion.metrics().to_dict()
    assert 0 < metrics.aAcc < 1


@pytest.mark.parametrize("samples, workers", [(1, 0), (5, 0), (2, 2)])
def test_batches_and_workers_change_nothing(tmp_path, samples, workers):
    index = mixed_images(tmp_path)
    expected, got = run(index), run(index, samples=samples, workers=workers)
    assert got.aAcc == pytest.approx(expected.aAcc, abs=1e-3)  # a batch may round the last digit of a logit otherwise
    assert got.mIoU == pytest.approx(expected.mIoU, abs=1e-3)


def test_a_loader_without_labels(tmp_path):
    index = mixed_images(tmp_path)
    dataset = build_dataset(test_set_cfg(index))
    loader = build_test_loader(dataset, samples_per_gpu=2, workers_per_gpu=0)
    assert evaluate(make_model(norm=True), loader, dataset, "cpu").to_dict() == run(index).to_dict()


def test_views_are_averaged(tmp_path):
    index = mixed_images(tmp_path)
    dataset = build_dataset(test_set_cfg(index, flip=True, ratios=[1.0, 1.5]))
    (batch,) = next(iter(build_test_loader(dataset, samples_per_gpu=1, workers_per_gpu=0)))
    model = make_model(norm=True).eval()
    (prediction,) = batch_predictions(model, batch, "cpu")
    mean = 0
    for view, meta in zip(batch.images, batch.metas):
        probabilities = torch.softmax(model.inference(view, (24, 32)), dim=1)
        mean = mean + (probabilities.flip(3) if meta[0]["flip"] else probabilities) / len(batch.images)
    assert len(batch.images) == 4 and prediction.position == 0
    np.testing.assert_allclose(
        torch.softmax(prediction.logits.tensor(), dim=0).numpy(), mean[0].numpy(), rtol=1e-4, atol=1e-5
    )


def test_mode_and_progress(tmp_path):
    index = write_images(tmp_path, 5)
    dataset = build_dataset(test_set_cfg(index))
    loader = build_evaluation_loader(dataset, samples_per_gpu=2)
    model, seen = make_model(norm=True), []
    before = model.backbone.bn.running_mean.clone()
    evaluate(model.train(), loader, dataset, "cpu", on_progress=seen.append)
    assert seen == [1, 2, 3, 4, 5]
    assert model.training
    assert torch.equal(model.backbone.bn.running_mean, before)
    evaluate(model.eval(), loader, dataset, "cpu")
    assert not model.training


def test_pictures(tmp_path):
    index = write_images(tmp_path, 5)
    pictures = run(index, keep_pictures=2).pictures
    assert [picture.name for picture in pictures] == [str(tmp_path / "1.png"), str(tmp_path / "3.png")]
    for picture in pictures:
        assert np.array_equal(picture.image, cv2.imread(picture.name))
        assert picture.label.shape == picture.prediction.shape == (24, 32)
        assert set(np.unique(picture.prediction)) <= {0, 1, 2}
    assert len(run(index, keep_pictures=99).pictures) == 5


def test_a_label_of_another_size_is_refused(tmp_path):
    index = write_images(tmp_path, 3)
    cv2.imwrite(str(tmp_path / "1_mask.png"), np.zeros((24, 30), np.uint8))
    with pytest.raises(DataError, match=r"1_mask.png is 30x24, but its image .*1.png is 32x24"):
        run(index)


def test_a_label_that_is_no_class_is_refused(tmp_path):
    index = write_images(tmp_path, 3)
    cv2.imwrite(str(tmp_path / "2_mask.png"), np.full((24, 32), 17, np.uint8))
    with pytest.raises(DataError, match=r"2_mask.png holds the id 17"):
        run(index)


def shard(rank, index):
    dataset = build_dataset(test_set_cfg(index))
    loader = build_evaluation_loader(dataset, rank=rank.rank, world_size=rank.world_size)
    metrics = evaluate(make_model(norm=True), loader, dataset, rank.device, keep_pictures=2)
    return len(loader), metrics.to_dict(), [picture.name for picture in metrics.pictures]


def test_two_processes_give_the_metrics_of_one(tmp_path):
    index = mixed_images(tmp_path)
    share, metrics, pictures = launch(shard, 2, args=(str(index),))
    assert share == 3
    assert metrics == run(index, samples=1).to_dict()
    assert len(pictures) == 2


def test_classes_are_needed(tmp_path):
    cfg = test_set_cfg(write_images(tmp_path, 1))
    del cfg["classes"], cfg["palette"]
    dataset = build_dataset(cfg)
    with pytest.raises(ConfigError, match="classes"):
        evaluate(make_model(), build_evaluation_loader(dataset), dataset, "cpu")

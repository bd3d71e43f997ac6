import numpy as np
import pytest
import torch

from mmseg.datasets.transforms import (
    Collect,
    Compose,
    DefaultFormatBundle,
    ImageToTensor,
    ToDataContainer,
    ToTensor,
    Transpose,
)
from mmseg.errors import ConfigError, DataError
from tests.datasets.files import random_image


def test_default_format_bundle():
    image, mask = random_image(4, 5), np.arange(20, dtype=np.uint8).reshape(4, 5)
    sample = DefaultFormatBundle()({"img": image[:, ::-1], "gt_semantic_seg": mask})
    assert sample["img"].shape == (3, 4, 5) and sample["img"].dtype == torch.float32 and sample["img"].is_contiguous()
    np.testing.assert_array_equal(sample["img"].numpy(), image[:, ::-1].transpose(2, 0, 1))
    assert sample["gt_semantic_seg"].shape == (1, 4, 5) and sample["gt_semantic_seg"].dtype == torch.int64
    np.testing.assert_array_equal(sample["gt_semantic_seg"][0].numpy(), mask)


def test_image_to_tensor_and_to_tensor():
    sample = ImageToTensor(keys=["img"])({"img": np.arange(6, dtype=np.float64).reshape(2, 3)})
    assert sample["img"].shape == (1, 2, 3) and sample["img"].dtype == torch.float32
    sample = ToTensor(keys=["a", "b", "c"])({"a": np.arange(3)[::-1], "b": 5, "c": [1.5, 2.5]})
    assert sample["a"].tolist() == [2, 1, 0] and sample["b"].tolist() == [5] and sample["c"].tolist() == [1.5, 2.5]
    with pytest.raises(DataError, match="str cannot become a tensor"):
        ToTensor(keys=["a"])({"a": "text"})


def test_transpose_and_to_data_container():
    sample = Transpose(keys=["img"], order=(2, 0, 1))({"img": random_image(4, 5)})
    assert sample["img"].shape == (3, 4, 5)
    assert ToDataContainer()({"img": 1, "gt_semantic_seg": 2}) == {"img": 1, "gt_semantic_seg": 2}
    with pytest.raises(ConfigError, match="ToDataContainer: no transform before it sets 'gt_semantic_seg'"):
        ToDataContainer()({"img": 1})


def test_collect():
    sample = {"img": 1, "gt_semantic_seg": 2, "filename": "a.png", "flip": False, "other": 3}
    assert Collect(keys=["img"])(sample) == {"img": 1, "img_metas": {"filename": "a.png", "flip": False}}
    assert Collect(keys=["img", "other"], meta_keys=("flip",))(sample)["img_metas"] == {"flip": False}
    with pytest.raises(ConfigError, match="Collect: no transform before it sets 'mask'"):
        Collect(keys=["mask"])(sample)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Collect(keys="img"), "Collect: keys"),
        (lambda: ToTensor(keys=[1]), "ToTensor: keys"),
        (lambda: Transpose(keys=["img"], order=(0, 0)), "Transpose: order"),
        (lambda: ToDataContainer(fields=["img"]), "ToDataContainer: fields"),
        (lambda: Compose([{"type": "RandomCorp"}]), "did you mean RandomCrop"),
        (lambda: Compose([{"type": "Resize", "size": 5}]), "transform Resize: .*size"),
        (lambda: Compose(["Resize"]), "a transform must be a dict with the key 'type' or a callable, not 'Resize'"),
        (lambda: Compose({"type": "Resize"}), "a pipeline must be a list"),
    ],
)
def test_bad_arguments(make, words):
    with pytest.raises(ConfigError, match=words):
        make()


def test_compose_passes_one_generator_and_stops_at_none():
    def draw(sample, rng):
        return {"drawn": sample.get("drawn", []) + [rng.integers(1000)]}

    rng = np.random.default_rng(5)
    expected = [rng.integers(1000), rng.integers(1000)]
    assert Compose([draw, draw])({}, np.random.default_rng(5)) == {"drawn": expected}
    assert Compose([lambda sample, rng: None, draw])({}) is None

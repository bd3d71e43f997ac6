"""Fast-SCNN against the numbers of mmsegmentation 0.27."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mmseg.models import build_segmentor, total_loss
from tests.models.configs import fast_scnn, fill
from tests.reference_data import REFERENCE, needs_reference

CONFIG = "fastscnn/fast_scnn_lr0.12_8x4_160k_cityscapes.py"


@pytest.fixture(scope="module")
def expected():
    with np.load(REFERENCE / "forward" / "fastscnn__fast_scnn_lr0.12_8x4_160k_cityscapes.npz") as file:
        return {name: file[name] for name in file}


def inputs(memory_format):
    image = np.random.RandomState(0).standard_normal((2, 3, 128, 256)).astype(np.float32)
    label = np.random.RandomState(1).randint(0, 19, size=(2, 1, 16, 32)).repeat(8, 2).repeat(8, 3)
    label[:, :, :16] = 255
    return torch.from_numpy(image).contiguous(memory_format=memory_format), torch.from_numpy(label).long()


def relative(ours, theirs):
    return np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)


@needs_reference
def test_state_dict_has_the_published_names_and_shapes_in_order(expected):
    with gzip.open(REFERENCE / "checkpoint_layouts.json.gz", "rt") as file:
        layouts = json.load(file)
    published = layouts["layouts"][layouts["configs"][CONFIG]]
    model = build_segmentor(fast_scnn())
    assert [(name, list(value.shape)) for name, value in model.state_dict().items()] == list(published.items())
    assert sum(parameter.numel() for parameter in model.parameters()) == expected["num_params"]


@needs_reference
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_logits_losses_and_gradients(expected, memory_format):
    model = fill(build_segmentor(fast_scnn())).eval().to(memory_format=memory_format)
    image, label = inputs(memory_format)

    logits = model(image).detach().numpy()
    assert logits.shape == (2, 19, 128, 256)
    assert relative(logits[:, :, ::8, ::8], expected["logits"]) < 1e-4
    assert abs(logits.mean() - expected["logits_mean"]) < 1e-4 * expected["logits_std"]
    assert abs(logits.std() - expected["logits_std"]) < 1e-4 * expected["logits_std"]

    losses = model.loss(image, label)
    loss = total_loss(losses)
    found = {**{name: value.item() for name, value in losses.items()}, "loss": loss.item()}
    wanted = json.loads(str(expected["losses"]))
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=1e-4), name

    loss.backward()
    for part, norm in json.loads(str(expected["grad_norm"])).items():
        squares = [parameter.grad.double().pow(2).sum() for parameter in getattr(model, part).parameters()]
        assert float(sum(squares)) ** 0.5 == pytest.approx(norm, rel=1e-3), part


CONFIG_FILE = Path(__file__).resolve().parents[2] / "configs" / CONFIG


@pytest.mark.skipif(not CONFIG_FILE.exists(), reason="the config file is not there")
def test_the_config_file_of_the_project_is_the_same_model():
    from mmseg.config import Config

    model = build_segmentor(Config.fromfile(CONFIG_FILE).model)
    ours = build_segmentor(fast_scnn())
    assert [(n, v.shape) for n, v in model.state_dict().items()] == [(n, v.shape) for n, v in ours.state_dict().items()]
    image, label = inputs(torch.contiguous_format)
    found, expected = fill(model).eval().loss(image, label), fill(ours).eval().loss(image, label)
    assert {name: value.item() for name, value in found.items()} == {
        name: value.item() for name, value in expected.items()
    }

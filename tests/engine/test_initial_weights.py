import logging

import pytest
import torch

from mmseg.engine.checkpoint import save_checkpoint
from mmseg.engine.initial_weights import load_initial_weights, load_pretrained_parts
from mmseg.errors import CheckpointError
from tests.engine.tiny import make_model


def test_what_fits_is_taken_and_the_rest_named(tmp_path, caplog):
    source, model = make_model(seed=1), make_model(seed=2, num_classes=5)
    before = model.decode_head.conv_seg.weight.clone()
    save_checkpoint(tmp_path / "w.pth", model=source, meta={})
    with caplog.at_level(logging.INFO, "mmseg"):
        report = load_initial_weights(model, tmp_path / "w.pth")
    assert torch.equal(model.backbone.conv1.weight, source.backbone.conv1.weight)
    assert torch.equal(model.decode_head.conv_seg.weight, before)
    assert {name for name, *_ in report.mismatched} == {"decode_head.conv_seg.weight", "decode_head.conv_seg.bias"}
    assert "decode_head.conv_seg.weight" in caplog.text


def test_nothing_that_fits_is_an_error(tmp_path):
    save_checkpoint(tmp_path / "w.pth", model=torch.nn.Linear(2, 2), meta={})
    with pytest.raises(CheckpointError, match=r"w\.pth"):
        load_initial_weights(make_model(), tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="missing.pth"):
        load_initial_weights(make_model(), tmp_path / "missing.pth")


@pytest.mark.parametrize("prefix", [None, "backbone", "backbone."])
def test_pretrained_parts(tmp_path, prefix):
    source, model = make_model(seed=1), make_model(seed=2)
    save_checkpoint(tmp_path / "w.pth", model=source if prefix else source.backbone, meta={})
    model.backbone.init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / "w.pth"), prefix=prefix)
    ((name, report),) = load_pretrained_parts(model)
    assert name == "backbone" and report.complete
    assert torch.equal(model.backbone.conv2.weight, source.backbone.conv2.weight)
    assert not torch.equal(model.decode_head.conv_seg.weight, source.decode_head.conv_seg.weight)


def test_an_address_is_not_fetched(caplog):
    model = make_model()
    model.backbone.init_cfg = dict(type="Pretrained", checkpoint="open-mmlab://resnet50_v1c")
    with caplog.at_level(logging.WARNING, "mmseg"):
        assert load_pretrained_parts(model) == []
    assert "backbone begins with random weights" in caplog.text

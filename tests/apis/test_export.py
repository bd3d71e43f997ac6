"""Exported files give what the model gives."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import tools.export_onnx
import tools.export_torchscript
from mmseg.apis.export import (
    CLASSES,
    Agreement,
    ConvAvgPool2d,
    ExportModule,
    FixedAdaptiveAvgPool2d,
    check_onnx,
    check_torchscript,
    export_onnx,
    export_torchscript,
)
from mmseg.config import Config
from mmseg.engine.checkpoint import save_checkpoint
from mmseg.errors import ConfigError, MMSegError
from mmseg.models import build_segmentor
from tests.models.configs import assert_close, fast_scnn, fill, tiny
from tools.command import CommandError
from tools.export_command import report

ROOT = Path(__file__).resolve().parents[2]
# Pooling to 2, 3 and 6 does not divide the feature maps of this size evenly.
ODD = (200, 136)


def make(cfg):
    return fill(build_segmentor(cfg)).eval()


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (3, None), 4])
@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (1, 4, 7, 11), (1, 1, 2, 3)])
def test_fixed_pooling_is_adaptive_pooling(size, shape):
    x = torch.from_numpy(np.random.default_rng(0).standard_normal(shape).astype(np.float32))
    assert_close(FixedAdaptiveAvgPool2d(size)(x), nn.AdaptiveAvgPool2d(size)(x), rtol=1e-5, atol=1e-6)


def test_pooling_that_counts_its_padding(tmp_path):
    pool = nn.AvgPool2d(3, stride=2, padding=1)
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 4, 7, 10)).astype(np.float32))
    assert_close(ConvAvgPool2d(pool)(x), pool(x), rtol=1e-5, atol=1e-6)
    assert not ConvAvgPool2d.can_replace(nn.AvgPool2d(2))
    pytest.importorskip("onnxruntime")
    model = make(tiny())
    model.decode_head.convs.add_module("pool", pool)
    export_onnx(model, tmp_path / "m.onnx", size=ODD)
    assert check_onnx(model, tmp_path / "m.onnx", size=ODD).difference < 1e-5


def test_the_model_itself_stays_as_it_is():
    model = make(tiny()).train()
    before = repr(model)
    module = ExportModule(model)
    assert any(isinstance(layer, FixedAdaptiveAvgPool2d) for layer in module.modules())
    assert repr(model) == before and model.training


@pytest.mark.parametrize("output", ["logits", "classes"])
@pytest.mark.parametrize("size", [(256, 128), ODD])
def test_onnx(tmp_path, size, output):
    pytest.importorskip("onnxruntime")
    model = make(fast_scnn())
    export_onnx(model, tmp_path / "m.onnx", size=size, output=output)
    agreement = check_onnx(model, tmp_path / "m.onnx", size=size, output=output)
    assert agreement.same_classes > 0.9999
    assert output == CLASSES or agreement.difference < 1e-5
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_inputs_and_outputs_of_an_onnx_file(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    model = make(tiny())
    export_onnx(model, tmp_path / "a.onnx", size=ODD)
    export_onnx(model, tmp_path / "b.onnx", size=ODD, output="classes")
    for name, output, shape, kind in (
        ("a", "logits", [1, 5, 136, 200], "tensor(float)"),
        ("b", "classes", [1, 136, 200], "tensor(int64)"),
    ):
        session = onnxruntime.InferenceSession(str(tmp_path / f"{name}.onnx"), providers=["CPUExecutionProvider"])
        ((image,), (result,)) = session.get_inputs(), session.get_outputs()
        assert (image.name, image.shape, image.type) == ("image", [1, 3, 136, 200], "tensor(float)")
        assert (result.name, result.shape, result.type) == (output, shape, kind)


@pytest.mark.parametrize("output", ["logits", "classes"])
def test_torchscript(tmp_path, output):
    model = make(fast_scnn())
    export_torchscript(model, tmp_path / "m.pt", size=ODD, output=output)
    agreement = check_torchscript(model, tmp_path / "m.pt", size=ODD, output=output)
    assert agreement.same_classes > 0.9999
    assert output == CLASSES or agreement.difference < 1e-5


def test_a_check_sees_another_model(tmp_path):
    model = make(tiny())
    export_torchscript(model, tmp_path / "m.pt", size=ODD)
    with torch.no_grad():
        model.decode_head.conv_seg.weight.mul_(-1)
    agreement = check_torchscript(model, tmp_path / "m.pt", size=ODD)
    assert agreement.difference > 0.1 and agreement.same_classes < 0.9


def test_one_channel_for_two_classes(tmp_path):
    cfg = tiny()
    cfg["decode_head"].update(
        num_classes=2, out_channels=1, loss_decode=dict(type="CrossEntropyLoss", use_sigmoid=True)
    )
    model = make(cfg)
    export_torchscript(model, tmp_path / "m.pt", size=ODD, output="classes")
    assert check_torchscript(model, tmp_path / "m.pt", size=ODD, output="classes").same_classes == 1
    pytest.importorskip("onnxruntime")
    export_onnx(model, tmp_path / "m.onnx", size=ODD, output="classes")
    assert check_onnx(model, tmp_path / "m.onnx", size=ODD, output="classes").same_classes > 0.9999


class _Unknown(nn.Module):
    def forward(self, x):
        return torch.lgamma(x)


def test_what_cannot_be_exported_is_one_sentence(tmp_path):
    model = make(tiny())
    with pytest.raises(ConfigError, match="exported as 'logits' or 'classes', not 'masks'"):
        export_onnx(model, tmp_path / "m.onnx", size=ODD, output="masks")
    with pytest.raises(ConfigError, match="ONNX with opset 99 for images of 200x136: "):
        export_onnx(model, tmp_path / "m.onnx", size=ODD, opset=99)
    with pytest.raises(FileNotFoundError):
        export_onnx(model, tmp_path / "gone" / "m.onnx", size=ODD)
    model.decode_head.convs.add_module("unknown", _Unknown())
    with pytest.raises(ConfigError, match="ONNX with opset 13 for images of 200x136: "):
        export_onnx(model, tmp_path / "m.onnx", size=ODD, opset=13)
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_no_models(tmp_path):
    (tmp_path / "m").write_bytes(b"nonsense")
    with pytest.raises(MMSegError, match="torch cannot run"):
        check_torchscript(make(tiny()), tmp_path / "m", size=ODD)
    pytest.importorskip("onnxruntime")
    with pytest.raises(MMSegError, match="onnxruntime cannot run"):
        check_onnx(make(tiny()), tmp_path / "m", size=ODD)


@pytest.mark.parametrize("command", [tools.export_onnx, tools.export_torchscript])
def test_commands(tmp_path, command, capsys):
    if command is tools.export_onnx:
        pytest.importorskip("onnxruntime")
    Config(dict(model=tiny())).dump(tmp_path / "config.py")
    save_checkpoint(tmp_path / "w.pth", model=make(tiny()), meta={})
    files = ["--config", str(tmp_path / "config.py"), "--checkpoint", str(tmp_path / "w.pth")]
    files += ["--out", str(tmp_path / "model")]
    assert command.main([*files, "--size", "200x136"]) == 0
    assert "100.0000 % of the pixels have the same class, the logits differ by" in capsys.readouterr().out
    assert (tmp_path / "model").stat().st_size > 1000
    assert command.main([*files, "--size", "200x136", "--classes", "--no-check"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'model'}\n"
    with pytest.raises(SystemExit, match="2"):
        command.main([*files, "--size", "large"])
    (tmp_path / "w.pth").unlink()
    assert command.main([*files, "--size", "200x136"]) == 1
    assert "error: there is no checkpoint" in capsys.readouterr().err


def test_a_file_that_differs_is_an_error(tmp_path):
    with pytest.raises(CommandError, match="m.onnx is not the same as the model: 99.0000 % of the pixels"):
        report(tmp_path / "m.onnx", Agreement(None, 0.99))
    with pytest.raises(CommandError, match="differ by nan"):
        report(tmp_path / "m.onnx", Agreement(float("nan"), 1.0))


def test_the_command_runs_from_anywhere(tmp_path):
    command = [sys.executable, str(ROOT / "tools" / "export_onnx.py"), "--help"]
    done = subprocess.run(command, cwd=str(tmp_path), capture_output=True)
    assert done.returncode == 0 and b"--size WIDTHxHEIGHT" in done.stdout


@pytest.mark.parametrize(
    "config",
    [
        "fastscnn/fast_scnn_lr0.12_8x4_160k_cityscapes.py",
        "deeplabv3plus/deeplabv3plus_r18-d8_512x1024_80k_cityscapes.py",
        "hrnet/fcn_hr18s_512x1024_40k_cityscapes.py",
        "ocrnet/ocrnet_hr18s_512x1024_40k_cityscapes.py",
    ],
)
def test_the_documented_families_give_the_same_class_maps_in_onnxruntime(tmp_path, config):
    pytest.importorskip("onnxruntime")
    model = make(Config.fromfile(ROOT / "configs" / config).model)
    export_onnx(model, tmp_path / "m.onnx", size=ODD)
    agreement = check_onnx(model, tmp_path / "m.onnx", size=ODD)
    assert agreement.difference < 1e-4
    assert agreement.same_classes > 0.9999

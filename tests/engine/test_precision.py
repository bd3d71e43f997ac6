import logging

import pytest
import torch

from mmseg.engine.optimizer_config import read_step_options
from mmseg.engine.precision import Precision
from mmseg.errors import ConfigError

CPU = torch.device("cpu")


@pytest.mark.parametrize("fp16", [dict(), dict(loss_scale=512.0), dict(loss_scale="dynamic")])
def test_a_cpu_trains_in_float32_and_says_so(fp16, caplog):
    with caplog.at_level(logging.WARNING, "mmseg"):
        precision = Precision(fp16, CPU)
    assert "float32" in caplog.text and not precision.enabled
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=0.5)
    with precision.autocast():
        loss = (weight * weight).sum()
    assert loss.dtype == torch.float32
    precision.backward(loss)
    precision.unscale(optimizer)
    precision.step(optimizer)
    assert torch.equal(weight.detach(), torch.zeros(2))


def test_float32_says_nothing(caplog):
    with caplog.at_level(logging.WARNING, "mmseg"):
        assert not Precision(None, CPU).enabled
    assert caplog.text == ""


@pytest.mark.parametrize(
    "fp16", [dict(scale=1), dict(loss_scale=0), dict(loss_scale="big"), dict(loss_scale=dict(a=1)), 1]
)
def test_wrong_configs_are_refused(fp16):
    with pytest.raises(ConfigError, match="fp16"):
        Precision(fp16, CPU)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("scale", [512.0, "dynamic", dict(init_scale=1024.0)])
def test_half_precision_on_a_gpu(scale):
    device = torch.device("cuda")
    precision = Precision(dict(loss_scale=scale), device)
    layer = torch.nn.Linear(4, 4).to(device)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    with precision.autocast():
        output = layer(torch.ones(2, 4, device=device))
    assert output.dtype == torch.float16
    before = layer.weight.detach().clone()
    precision.backward(output.float().sum())
    precision.unscale(optimizer)
    assert torch.allclose(layer.weight.grad, torch.full((4, 4), 2.0, device=device), rtol=1e-2)
    precision.step(optimizer)
    assert not torch.equal(layer.weight.detach(), before)
    again = Precision(dict(loss_scale=scale), device)
    again.load_state_dict(precision.state_dict())
    assert again.state_dict() == precision.state_dict()


def test_step_options():
    assert read_step_options({}).grad_clip is None and read_step_options({}).fp16 is None
    clip = dict(max_norm=35, norm_type=2)
    options = read_step_options(dict(optimizer_config=dict(type="Fp16OptimizerHook", loss_scale=512.0, grad_clip=clip)))
    assert options.grad_clip == clip and options.fp16 == dict(loss_scale=512.0)
    options = read_step_options(dict(optimizer_config=dict(grad_clip=None), fp16=dict(loss_scale="dynamic")))
    assert options.grad_clip is None and options.fp16 == dict(loss_scale="dynamic")
    options = read_step_options(dict(optimizer_config=dict(type="Fp16OptimizerHook", loss_scale=8.0), fp16=dict()))
    assert options.fp16 == dict(loss_scale=8.0) and options.cumulative_iters == 1
    options = read_step_options(
        dict(optimizer_config=dict(type="GradientCumulativeFp16OptimizerHook", cumulative_iters=2), fp16=dict())
    )
    assert options.fp16 == dict() and options.cumulative_iters == 2
    options = read_step_options(
        dict(optimizer_config=dict(type="GradientCumulativeOptimizerHook", cumulative_iters=3, grad_clip=clip))
    )
    assert options.fp16 is None and options.cumulative_iters == 3 and options.grad_clip == clip
    options = read_step_options(dict(optimizer_config=dict(type="Fp16OptimizerHook", distributed=False, coalesce=True)))
    assert options.fp16 == dict() and options.grad_clip is None


@pytest.mark.parametrize(
    "optimizer_config, named",
    [
        (dict(type="DistOptimizerHook"), "type"),
        (dict(type="GradientCumulativeOptimizerHook", cumulative_iters=0), "cumulative_iters"),
        (dict(type="GradientCumulativeOptimizerHook", cumulative_iters=2, loss_scale=4), "loss_scale"),
        (dict(cumulative_iters=4), "cumulative_iters"),
        (dict(loss_scale=4), "loss_scale"),
    ],
)
def test_wrong_step_options_are_refused(optimizer_config, named):
    with pytest.raises(ConfigError, match=named):
        read_step_options(dict(optimizer_config=optimizer_config))

"""The version switches, on whatever torch is installed."""

import pytest
import torch

from mmseg import torch_compat


@pytest.mark.parametrize(
    ("text", "version"), [("1.8.0", (1, 8)), ("1.10.2+cu113", (1, 10)), ("2.13.0a0+git1", (2, 13))]
)
def test_versions(text, version):
    assert torch_compat.parse_version(text) == version


def test_meshgrid_is_of_rows_and_columns():
    rows, columns = torch_compat.meshgrid(torch.arange(2), torch.arange(3))
    assert rows.tolist() == [[0, 0, 0], [1, 1, 1]]
    assert columns.tolist() == [[0, 1, 2], [0, 1, 2]]


def test_inference_mode_records_no_gradient():
    weight = torch.ones(2, requires_grad=True)
    with torch_compat.inference_mode():
        assert not (weight * 2).requires_grad


def test_autocast_off_is_float32():
    with torch_compat.autocast("cpu", enabled=False):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_autocast_on_a_cpu_takes_the_given_type_where_torch_can():
    with torch_compat.autocast("cpu", dtype=torch.bfloat16):
        found = (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
    assert found == (torch.bfloat16 if torch_compat.TORCH_VERSION >= (1, 10) else torch.float32)


def test_grad_scaler_on_a_cpu_does_nothing():
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.5)
    scaler = torch_compat.grad_scaler("cpu", init_scale=8.0)
    scaler.scale(weight.sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    assert weight.item() == 0.5


def test_recomputed_activations():
    weight = torch.ones(3, requires_grad=True)
    torch_compat.checkpoint_activations(lambda x: (x * 2).sum(), weight).backward()
    assert weight.grad.tolist() == [2, 2, 2]

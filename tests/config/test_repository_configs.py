"""The config files of this repository, and those the old executor dumped."""

import runpy
from pathlib import Path

import pytest
import yaml

from mmseg.config import Config
from tests.reference_data import REFERENCE, needs_reference

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
FAST_SCNN = CONFIGS / "fastscnn" / "fast_scnn_lr0.12_8x4_160k_cityscapes.py"


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.py")), ids=lambda path: path.stem)
def test_every_config_reads_and_writes(path):
    cfg = Config.fromfile(path, base_root=CONFIGS)
    assert Config.fromstring(cfg.pretty_text) == cfg


@pytest.mark.parametrize("thousands", [20, 40, 80, 160, 320])
def test_schedules(thousands):
    cfg = Config.fromfile(CONFIGS / "_base_" / "schedules" / f"schedule_{thousands}k.py")
    assert cfg.runner == dict(type="IterBasedRunner", max_iters=thousands * 1000)
    assert cfg.checkpoint_config.interval == cfg.evaluation.interval == thousands * 100
    assert cfg.lr_config == dict(policy="poly", power=0.9, min_lr=1e-4, by_epoch=False)


def test_fast_scnn_has_the_published_hyper_parameters():
    cfg = Config.fromfile(FAST_SCNN)
    assert cfg.optimizer == dict(type="SGD", lr=0.12, momentum=0.9, weight_decay=4e-5)
    assert cfg.runner.max_iters == 160000 and cfg.data.samples_per_gpu == 4
    assert cfg.model.decode_head.num_classes == 19
    assert cfg.data.train.pipeline[2] == dict(type="Resize", img_scale=(2048, 1024), ratio_range=(0.5, 2.0))
    assert cfg.data.train.pipeline[3].crop_size == (512, 1024)
    assert cfg.data.test.pipeline[1].img_scale == (2048, 1024)


@needs_reference
def test_fast_scnn_is_the_model_of_the_old_executor():
    old = Config.fromfile(REFERENCE / "upstream_model" / FAST_SCNN.name).model
    new = Config.fromfile(FAST_SCNN).model
    for part in (old.backbone, old.decode_head, *old.auxiliary_head):
        part.norm_cfg.momentum = 0.01  # changed, like the number of classes, by whoever trained it
        if "num_classes" in part:
            part.num_classes = 19
    assert new == old


@needs_reference
def test_package_of_the_old_executor_reads_as_python_would():
    file = REFERENCE / "upstream_model" / FAST_SCNN.name
    expected = {key: value for key, value in runpy.run_path(str(file)).items() if not key.startswith("__")}
    cfg = Config.fromfile(file, base_root=file.parent)
    assert cfg.to_dict() == expected and list(cfg) == list(expected)


def test_metafile_names_configs_that_exist():
    for path in CONFIGS.rglob("metafile.yml"):
        for model in yaml.safe_load(path.read_text(encoding="utf-8"))["Models"]:
            assert (CONFIGS.parent / model["Config"]).is_file()

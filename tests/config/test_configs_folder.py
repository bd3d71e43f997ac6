"""The folder of config files: what their names promise, the published results, and that every network builds."""

import gzip
import json
import re
from functools import lru_cache
from pathlib import Path

import pytest
import torch
import yaml

from mmseg.config import Config
from mmseg.models import build_segmentor
from tests.reference_data import REFERENCE, needs_reference

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
FILES = sorted(path.relative_to(CONFIGS).as_posix() for path in CONFIGS.glob("[!_]*/*.py"))
METAFILES = sorted(CONFIGS.glob("*/metafile.yml"))
FAMILIES = {
    "bisenetv1", "bisenetv2", "convnext", "deeplabv3", "deeplabv3plus", "fastscnn", "fcn", "hrnet", "mobilenet_v2",
    "mobilenet_v3", "ocrnet", "point_rend", "pspnet", "segformer", "sem_fpn", "stdc", "unet", "upernet",
}  # fmt: skip

# The end of a config's name: its data set for training, and how many classes the heads tell apart.
DATASETS = {
    "ade20k": ("ADE20KDataset", 150),
    "chase_db1": ("ChaseDB1Dataset", 2),
    "chase-db1": ("ChaseDB1Dataset", 2),
    "cityscapes": ("CityscapesDataset", 19),
    "coco-stuff10k": ("COCOStuffDataset", 171),
    "coco-stuff164k": ("COCOStuffDataset", 171),
    "dark": ("CityscapesDataset", 19),
    "drive": ("DRIVEDataset", 2),
    "hrf": ("HRFDataset", 2),
    "isaid": ("iSAIDDataset", 16),
    "loveda": ("LoveDADataset", 7),
    "night_driving": ("CityscapesDataset", 19),
    "pascal_context": ("PascalContextDataset", 60),
    "pascal_context_59": ("PascalContextDataset59", 59),
    "potsdam": ("PotsdamDataset", 6),
    "stare": ("STAREDataset", 2),
    "vaihingen": ("ISPRSDataset", 6),
    "voc12aug": ("PascalVOCDataset", 21),
}

# config, training memory, images/s, mIoU, mIoU(ms+flip): the table of the old executor's document.
DOCUMENTED = """
fastscnn/fast_scnn_lr0.12_8x4_160k_cityscapes 3.3 56.45 70.96 72.65
hrnet/fcn_hr18s_512x1024_40k_cityscapes 1.7 23.74 73.86 75.91
hrnet/fcn_hr18_512x1024_40k_cityscapes 2.9 12.97 77.19 78.92
hrnet/fcn_hr18s_512x1024_80k_cityscapes - - 75.31 77.48
hrnet/fcn_hr18_512x1024_80k_cityscapes - - 78.65 80.35
hrnet/fcn_hr18s_512x1024_160k_cityscapes - - 76.31 78.31
hrnet/fcn_hr18_512x1024_160k_cityscapes - - 78.80 80.74
deeplabv3plus/deeplabv3plus_r50-d8_512x1024_40k_cityscapes 7.5 3.94 79.61 81.01
deeplabv3plus/deeplabv3plus_r50-d8_769x769_40k_cityscapes 8.5 1.72 78.97 80.46
deeplabv3plus/deeplabv3plus_r18-d8_512x1024_80k_cityscapes 2.2 14.27 76.89 78.76
deeplabv3plus/deeplabv3plus_r18-d8_769x769_80k_cityscapes 2.5 5.74 76.26 77.91
deeplabv3plus/deeplabv3plus_r18b-d8_512x1024_80k_cityscapes 2.1 14.95 75.87 77.52
deeplabv3plus/deeplabv3plus_r18b-d8_769x769_80k_cityscapes 2.4 5.96 76.36 78.24
ocrnet/ocrnet_hr18s_512x1024_40k_cityscapes 3.5 10.45 74.30 75.95
ocrnet/ocrnet_hr18_512x1024_40k_cityscapes 4.7 7.50 77.72 79.49
ocrnet/ocrnet_hr18s_512x1024_80k_cityscapes - - 77.16 78.66
ocrnet/ocrnet_hr18_512x1024_80k_cityscapes - - 78.57 80.46
ocrnet/ocrnet_hr18s_512x1024_160k_cityscapes - - 78.45 79.97
ocrnet/ocrnet_hr18_512x1024_160k_cityscapes - - 79.47 80.91
"""


@lru_cache(maxsize=None)
def config(file):
    return Config.fromfile(CONFIGS / file, base_root=CONFIGS)


def heads(model):
    found = []
    for key in ("decode_head", "auxiliary_head"):
        head = model.get(key) or []
        found += head if isinstance(head, list) else [head]
    return found


def training_set(cfg):
    dataset = cfg.data.train
    while "dataset" in dataset:
        dataset = dataset.dataset
    return dataset


def published():
    return [(file, entry) for file in METAFILES for entry in yaml.safe_load(file.read_text(encoding="utf-8"))["Models"]]


def test_every_family_is_there_with_its_results():
    assert {path.split("/")[0] for path in FILES} == {path.parent.name for path in METAFILES} == FAMILIES


@pytest.mark.parametrize("file", FILES)
def test_config_is_what_its_name_says(file):
    cfg = config(file)
    assert {"model", "data", "optimizer", "lr_config", "runner", "checkpoint_config", "evaluation"} <= set(cfg)
    name = Path(file).stem
    iterations = re.search(r"_(\d+)k(?:_b\d+)?_(.+)$", name)
    assert cfg.runner == dict(type="IterBasedRunner", max_iters=1000 * int(iterations.group(1)))
    dataset, classes = DATASETS[re.sub(r"^b\d+_", "", iterations.group(2))]
    assert training_set(cfg).type == dataset
    for head in heads(cfg.model):
        assert head.num_classes == (2 if head.type == "STDCHead" else classes)
    crop = re.search(r"_(\d{2,})x(\d{2,})_", name)
    if crop:
        transform = [step for step in training_set(cfg).pipeline if step.type == "RandomCrop"]
        assert transform[0].crop_size == (int(crop.group(1)), int(crop.group(2)))


@pytest.mark.parametrize("depth", [18, 50, 101])
def test_resnets_are_as_deep_as_the_name_says(depth):
    files = [file for file in FILES if re.search(rf"_r{depth}(b?)[-_]", file)]
    assert len(files) > 30
    for file in files:
        backbone = config(file).model.backbone
        backbone = backbone.get("backbone_cfg", backbone)
        plain = re.search(rf"_r{depth}b-|_rsb-", file) or backbone.type == "ResNet" and "bisenetv1" in file
        assert (backbone.depth, backbone.type) == (depth, "ResNet" if plain else "ResNetV1c")


def test_results_are_of_configs_and_weights_that_belong_together():
    names = [entry["Name"] for _, entry in published()]
    assert len(names) == len(set(names)) > 340
    for file, entry in published():
        path = CONFIGS.parent / entry["Config"]
        assert path.is_file() and path.parent == file.parent and path.stem == entry["Name"]
        address = (
            rf"https://download\.openmmlab\.com/mmsegmentation/.*/{re.escape(path.stem)}[-_][^/]*-[0-9a-f]{{8}}\.pth"
        )
        assert re.fullmatch(address, entry["Weights"])
        assert entry["Metadata"]["lr schd"] == config(path.relative_to(CONFIGS).as_posix()).runner.max_iters
        assert 0 < entry["Metadata"].get("Training Memory (GB)", 1) < 80
        assert all(1 < value < 100 for value in entry["Results"][0]["Metrics"].values())


def test_results_of_the_documented_table():
    entries = {entry["Config"]: entry for _, entry in published()}
    for line in DOCUMENTED.split("\n")[1:-1]:
        name, *numbers = line.split()
        metadata, metrics = (entries[f"configs/{name}.py"][key] for key in ("Metadata", "Results"))
        found = [
            metadata.get("Training Memory (GB)"),
            metadata.get("inference speed (images/s)"),
            metrics[0]["Metrics"]["mIoU"],
            metrics[0]["Metrics"]["mIoU(ms+flip)"],
        ]
        assert found == [None if number == "-" else float(number) for number in numbers]


@pytest.fixture(scope="module")
def layout_of():
    """A function: the names and shapes of a built model's weights, which are not drawn here, for that takes minutes."""
    built = {}

    def build(cfg):
        model = cfg.to_dict()["model"]
        key = repr(model)
        if key not in built:
            weights = build_segmentor(model).state_dict()
            built[key] = [(name, list(value.shape)) for name, value in weights.items()]
        return built[key]

    with pytest.MonkeyPatch.context() as patch:
        for name in ("normal_", "uniform_", "trunc_normal_", "kaiming_normal_", "kaiming_uniform_", "xavier_normal_"):
            patch.setattr(torch.nn.init, name, lambda tensor, *args, **kwargs: tensor)
        yield build


@pytest.fixture(scope="module")
def published_layouts():
    if not REFERENCE.exists():
        return {}
    with gzip.open(REFERENCE / "checkpoint_layouts.json.gz", "rt") as file:
        content = json.load(file)
    return {name: content["layouts"][layout] for name, layout in content["configs"].items()}


@pytest.mark.parametrize("file", FILES)
def test_every_config_builds(file, layout_of, published_layouts):
    layout = layout_of(config(file))
    assert layout
    if file in published_layouts:
        assert layout == list(published_layouts[file].items())


@needs_reference
def test_no_config_of_these_families_is_missing(published_layouts):
    assert len(published_layouts) > 400
    assert [name for name in published_layouts if name.split("/")[0] in FAMILIES and name not in FILES] == []

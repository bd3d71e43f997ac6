"""The commands that work outside of YMIR, on real files."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from mmseg.apis import inference_segmentor, init_segmentor
from mmseg.apis.pictures import overlay
from mmseg.config import Config
from mmseg.datasets import generate_palette, read_image
from mmseg.engine.checkpoint import load_checkpoint, save_checkpoint
from mmseg.models import build_segmentor
from mmseg.torch_compat import TORCH_VERSION
from tests.models.configs import fill
from tests.tools.streets import ROOT, write_streets
from tools import (
    analyze_logs,
    browse_dataset,
    confusion_matrix,
    get_flops,
    inference,
    print_config,
    publish_model,
    train,
)
from tools import test as test_command
from tools.street_scenes import CLASSES

COMMANDS = {
    module.__name__.split(".")[-1]: module.main
    for module in (
        analyze_logs,
        browse_dataset,
        confusion_matrix,
        get_flops,
        inference,
        print_config,
        publish_model,
        test_command,
        train,
    )
}


@pytest.fixture(scope="module")
def streets(tmp_path_factory):
    """A data set's config file, and the folder of a training on it by the command."""
    folder = tmp_path_factory.mktemp("streets ü")
    config = write_streets(folder)
    run = folder / "run"
    assert train.main(["--config", str(config), "--out", str(run), "--seed", "1"]) == 0
    return config, run


@pytest.fixture
def model_options(streets):
    config, run = streets
    return ["--config", str(config), "--checkpoint", str(run / "latest.pth")]


@pytest.fixture(scope="module")
def varied_options(streets, tmp_path_factory):
    """The options of a model that finds many classes, which so short a training does not."""
    config, _ = streets
    path = tmp_path_factory.mktemp("varied") / "varied.pth"
    save_checkpoint(path, model=fill(build_segmentor(Config.fromfile(config).model)), meta={})
    return ["--config", str(config), "--checkpoint", str(path)]


def run(name, *arguments):
    return COMMANDS[name]([str(argument) for argument in arguments])


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_shows_examples_of_the_command(name, capsys):
    with pytest.raises(SystemExit) as end:
        run(name, "--help")
    shown = capsys.readouterr().out
    assert end.value.code == 0
    examples = shown.split("examples:\n")[1].strip().splitlines()
    assert examples and all(line.strip().startswith((f"python tools/{name}.py ", "--")) for line in examples)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_same_options_have_the_same_names(name, capsys):
    with pytest.raises(SystemExit):
        run(name, "--help")
    shown = capsys.readouterr().out
    assert "--out" in shown or name == "get_flops"
    assert ("--config FILE" in shown) == (name not in ("analyze_logs", "publish_model"))
    assert ("--cfg-options" in shown) == ("--config FILE" in shown)
    evaluates = name in ("test", "confusion_matrix", "inference")
    assert ("--checkpoint FILE" in shown) == (evaluates or name in ("publish_model", "train"))
    assert ("--device" in shown) == (evaluates or name in ("train", "get_flops"))


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_wrong_options_end_with_2(name, capsys):
    with pytest.raises(SystemExit) as end:
        run(name, "--no-such-option")
    assert end.value.code == 2 and "usage:" in capsys.readouterr().err


def test_a_command_runs_in_another_folder_and_says_in_one_sentence_what_failed(tmp_path):
    command = [sys.executable, str(ROOT / "tools" / "get_flops.py"), "--config", "nowhere.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True)
    assert done.returncode == 1 and done.stdout == b""
    assert done.stderr.decode().splitlines() == [f"error: there is no config file {tmp_path / 'nowhere.py'}"]


@pytest.mark.parametrize(
    ("device", "message"), [("gpu", "'gpu' is no device"), ("cuda:77", "there is no device cuda:77")]
)
def test_a_device_that_is_not_there_is_named(streets, device, message, capsys):
    with pytest.raises(SystemExit) as end:
        run("get_flops", "--config", streets[0], "--device", device)
    assert end.value.code == 2 and message in capsys.readouterr().err


def test_train_leaves_checkpoints_the_log_and_the_resolved_config(streets):
    config, folder = streets
    assert (folder / "latest.pth").is_file() and list(folder.glob("best_mIoU_iter_*.pth"))
    assert list((folder / "tensorboard").iterdir())
    assert Config.fromfile(folder / "streets.py") == Config.fromfile(config)
    records = [json.loads(line) for line in (folder / "train_log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [record["iter"] for record in records if record["mode"] == "val"] == [2, 4]


def test_train_starts_from_weights_and_resumes(streets, tmp_path, capsys):
    config, folder = streets
    options = ["--config", config, "--no-tensorboard", "--no-validate", "--cfg-options", "runner.max_iters=5"]
    assert run("train", *options, "--out", tmp_path / "a", "--resume-from", folder / "latest.pth") == 0
    records = [json.loads(line) for line in (tmp_path / "a" / "train_log.jsonl").read_text().splitlines()]
    assert [record["iter"] for record in records if record["mode"] == "train"] == [5]
    assert not (tmp_path / "a" / "tensorboard").exists()
    assert str(tmp_path / "a" / "latest.pth") in capsys.readouterr().out
    still = ["runner.max_iters=1", "optimizer.lr=1e-9", "lr_config.min_lr=0.0"]
    assert run("train", *options[:-1], *still, "--out", tmp_path / "b", "--checkpoint", folder / "latest.pth") == 0
    name = "decode_head.conv_seg.weight"
    before, after = (load_checkpoint(path / "latest.pth")["state_dict"][name] for path in (folder, tmp_path / "b"))
    assert torch.allclose(before, after, atol=1e-6)


def test_train_in_two_processes(streets, tmp_path):
    command = [sys.executable, str(ROOT / "tools" / "train.py"), "--config", str(streets[0]), "--device", "cpu,cpu"]
    changes = ["--cfg-options", "runner.max_iters=1", "data.val=None"]
    done = subprocess.run([*command, "--out", str(tmp_path), "--no-tensorboard", *changes], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert load_checkpoint(tmp_path / "latest.pth")["meta"]["CLASSES"] == list(CLASSES)


def test_test_prints_a_table_and_writes_numbers_and_pictures(streets, model_options, tmp_path, capsys):
    out, pictures = tmp_path / "deep" / "metrics.json", tmp_path / "pictures"
    assert run("test", *model_options, "--workers-per-gpu", 0, "--out", out, "--show-dir", pictures) == 0
    table = capsys.readouterr().out
    record = json.loads(out.read_text(encoding="utf-8"))
    assert record["images"] == 3 and record["classes"] == list(CLASSES) and not record["aug_test"]
    assert f"{100 * record['metrics']['mIoU']:.2f}" in table and all(name in table for name in CLASSES)
    log = [json.loads(line) for line in (streets[1] / "train_log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert record["metrics"]["IoU"] == pytest.approx(log[-1]["IoU"]), "what the training found for these weights"
    assert sorted(path.name for path in pictures.iterdir()) == [
        "00000-0.png",
        "00001-1.png",
        "00002-2.png",
        "legend.png",
    ]
    picture = cv2.imread(str(pictures / "00001-1.png"))
    assert picture.shape == (60, 80 * 3 + 8, 3)
    image = read_image(str(streets[0].parent / "val" / "images" / "1.jpg"))
    np.testing.assert_array_equal(picture[:, :80], image)
    model = init_segmentor(streets[0], streets[1] / "latest.pth")
    (class_map,) = inference_segmentor(model, image)
    np.testing.assert_array_equal(picture[:, -80:], overlay(image, class_map, model.PALETTE, 0.6))


def test_test_at_several_scales_gives_the_mean_of_the_views(varied_options, tmp_path):
    out = tmp_path / "metrics.json"
    options = [*varied_options, "--workers-per-gpu", 0, "--split", "val", "--out", out]
    assert run("test", *options, "--aug-test") == 0
    augmented = json.loads(out.read_text(encoding="utf-8"))
    assert augmented["aug_test"] and augmented["split"] == "val"
    ratios = "data.val.pipeline.1.img_ratios=[0.5,0.75,1.0,1.25,1.5,1.75]"
    assert run("test", *options, "--cfg-options", ratios, "data.val.pipeline.1.flip=True") == 0
    assert json.loads(out.read_text(encoding="utf-8"))["metrics"] == augmented["metrics"]
    assert run("test", *options) == 0
    assert json.loads(out.read_text(encoding="utf-8"))["metrics"] != augmented["metrics"]


def test_test_names_a_missing_split_and_a_label_of_another_size(streets, model_options, tmp_path, capsys):
    assert run("test", *model_options, "--cfg-options", "data.test=None") == 1
    assert "has no data.test to test on" in capsys.readouterr().err
    config = write_streets(tmp_path / "broken", train=1, val=1)
    cv2.imwrite(str(tmp_path / "broken" / "val" / "labels" / "0.png"), np.zeros((9, 8), np.uint8))
    assert run("test", "--config", config, *model_options[2:], "--workers-per-gpu", 0) == 1
    error = capsys.readouterr().err
    assert "is 8x9" in error and "0.jpg is 80x60" in error


def test_confusion_matrix_prints_shares_and_draws_them(varied_options, tmp_path, capsys):
    path = tmp_path / "confusion.png"
    assert run("confusion_matrix", *varied_options, "--workers-per-gpu", 0, "--out", path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(CLASSES) + 2 and lines[-1] == str(path)
    for line, name in zip(lines[1:], CLASSES):
        cells = line[len(name) :].split()
        assert line.startswith(name) and len(cells) == len(CLASSES)
        if cells[0] != "-":
            assert sum(map(float, cells)) == pytest.approx(100, abs=1)
    assert cv2.imread(str(path)).shape[0] > 300


def test_confusion_shares_are_of_each_label():
    shares = confusion_matrix.row_shares(np.array([[3, 1], [0, 0]]))
    assert shares[0].tolist() == [0.75, 0.25] and np.isnan(shares[1]).all()


def test_inference_on_a_folder_keeps_names_and_subfolders(streets, varied_options, tmp_path):
    images = tmp_path / "images"
    (images / "sub").mkdir(parents=True)
    source = streets[0].parent / "val" / "images" / "0.jpg"
    image = read_image(str(source))
    (images / "a.jpg").write_bytes(source.read_bytes())
    (images / "sub" / "b.jpg").write_bytes(source.read_bytes())
    cv2.imwrite(str(images / "a.png"), image)
    (images / "notes.txt").write_text("no image")
    out = tmp_path / "out"
    assert run("inference", *varied_options, "--input", images, "--out", out, "--write", "both") == 0
    written = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*"))
    names = ["a.jpg", "a.png", "sub/b"]
    assert written == sorted(["legend.png", *(f"{n}.jpg" for n in names), *(f"masks/{n}.png" for n in names)])
    model = init_segmentor(streets[0], varied_options[-1])
    palette = generate_palette(len(CLASSES))
    (class_map,) = inference_segmentor(model, image)
    with Image.open(out / "masks" / "sub" / "b.png") as mask:
        assert mask.mode == "P" and mask.getpalette()[:3] == palette[0]
        np.testing.assert_array_equal(np.array(mask), class_map)
    shown = cv2.imread(str(out / "sub" / "b.jpg")).astype(float)
    assert np.abs(shown - overlay(image, class_map, palette)).mean() < 12, "but for what JPEG loses"


def test_inference_on_a_video(streets, model_options, tmp_path):
    video = tmp_path / "drive.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), 10, (80, 60))
    image = read_image(str(streets[0].parent / "val" / "images" / "0.jpg"))
    for _ in range(5):
        writer.write(image)
    writer.release()
    out = tmp_path / "out"
    options = ["--input", video, "--out", out, "--write", "both", "--every", 2]
    assert run("inference", *model_options, *options) == 0
    assert [path.name for path in sorted((out / "masks" / "drive").iterdir())] == [
        "000000.png",
        "000002.png",
        "000004.png",
    ]
    shown = cv2.VideoCapture(str(out / "drive.mp4"))
    assert shown.get(cv2.CAP_PROP_FRAME_COUNT) == 3 and shown.get(cv2.CAP_PROP_FPS) == pytest.approx(5)
    assert shown.read()[1].shape == (60, 80, 3)


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (None, "nothing.jpg", "there is no image, video or folder"),
        (b"text", "a.txt", "does not end like an image or a video"),
        (b"no image", "a.jpg", "cannot decode image"),
        (b"no video", "a.mp4", "cannot be opened"),
        ("folder", "empty", "there is no image and no video in"),
    ],
)
def test_inference_names_an_input_that_it_cannot_read(model_options, tmp_path, capfd, content, name, message):
    path = tmp_path / name
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    assert run("inference", *model_options, "--input", path, "--out", tmp_path / "out") == 1
    error = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(error) == 1 and message in error[0] and str(path) in error[0]


def test_print_config_resolves_bases_and_changes(streets, tmp_path, capsys):
    assert run("print_config", "--config", streets[0], "--cfg-options", "optimizer.lr=0.25") == 0
    (tmp_path / "printed.py").write_text(capsys.readouterr().out, encoding="utf-8")
    expected = Config.fromfile(streets[0])
    expected.merge_from_dict({"optimizer.lr": 0.25})
    assert Config.fromfile(tmp_path / "printed.py") == expected and expected.model.type == "EncoderDecoder"
    assert run("print_config", "--config", streets[0], "--out", tmp_path / "out.py") == 0
    assert Config.fromfile(tmp_path / "out.py") == Config.fromfile(streets[0])
    assert run("print_config", "--config", streets[0], "--cfg-options", "optimizer") == 1
    assert "must have the form key=value" in capsys.readouterr().err


def test_browse_dataset_shows_what_the_network_gets(streets, tmp_path):
    plain = "data.train.pipeline=[{'type': 'LoadImageFromFile'}, {'type': 'LoadAnnotations'}, " + (
        "{'type': 'Normalize', 'mean': [10, 20, 30], 'std': [40, 50, 60], 'to_rgb': True}, "
        "{'type': 'DefaultFormatBundle'}, {'type': 'Collect', 'keys': ['img', 'gt_semantic_seg']}]"
    )
    options = ["--config", streets[0], "--number", 1, "--opacity", 0, "--out", tmp_path / "plain"]
    assert run("browse_dataset", *options, "--cfg-options", plain) == 0
    picture = cv2.imread(str(tmp_path / "plain" / "00000-0-0.png"))
    image = read_image(str(streets[0].parent / "train" / "images" / "0.jpg"))
    np.testing.assert_array_equal(picture[:, :80], image)
    np.testing.assert_array_equal(picture[:, -80:], image)


def test_browse_dataset_draws_samples_anew_and_the_same_for_a_seed(streets, tmp_path):
    def pictures(seed, name):
        options = ["--number", 2, "--repeat", 2, "--seed", seed, "--out", tmp_path / name]
        assert run("browse_dataset", "--config", streets[0], *options) == 0
        return {path.name: path.read_bytes() for path in (tmp_path / name).iterdir() if path.name != "legend.png"}

    first = pictures(3, "a")
    assert len(first) == 4 and len(set(first.values())) == 4
    assert first == pictures(3, "b") and first != pictures(4, "c")
    assert cv2.imread(str(tmp_path / "a" / "00000-0-0.png")).shape == (48, 64 * 2 + 4, 3)
    assert run("browse_dataset", "--config", streets[0], "--split", "val", "--out", tmp_path / "val") == 0
    assert len(list((tmp_path / "val").iterdir())) == 4


def test_analyze_logs_draws_and_sums_up(streets, tmp_path, capsys):
    log = streets[1] / "train_log.jsonl"
    options = ["--log", log, log, "--legend", "a", "b", "--keys", "loss", "mIoU", "lr", "decode.acc_seg"]
    assert run("analyze_logs", *options, "--out", tmp_path / "curves.png") == 0
    shown = capsys.readouterr().out
    assert "a: iteration 4, loss " in shown and "b: iteration 4, " in shown and "best mIoU" in shown
    assert cv2.imread(str(tmp_path / "curves.png")).shape[1] > 1000
    assert run("analyze_logs", "--log", log, "--keys", "speed", "--out", tmp_path / "no.png") == 1
    assert "none of the logs has numbers for 'speed'; they have " in capsys.readouterr().err
    (tmp_path / "empty").write_text("nothing\n")
    assert run("analyze_logs", "--log", tmp_path / "empty", "--out", tmp_path / "no.png") == 1
    assert "is no log of a training" in capsys.readouterr().err and not (tmp_path / "no.png").exists()


def test_analyze_logs_takes_the_records_of_the_run_that_was_resumed(tmp_path):
    lines = [{"mode": "start", "iter": 0}, *({"mode": "train", "iter": i, "loss": float(i)} for i in (1, 2, 3))]
    lines += [{"mode": "start", "iter": 1}, *({"mode": "train", "iter": i, "loss": 10.0 * i} for i in (2, 3))]
    text = "".join(json.dumps(line) + "\n" for line in lines) + '{"mode": "train", "iter": 4, "lo'
    (tmp_path / "log.jsonl").write_text(text)
    records = analyze_logs.read_log(tmp_path / "log.jsonl")
    assert analyze_logs.curve(records, "loss") == [(1, 1.0), (2, 20.0), (3, 30.0)]


def test_get_flops_counts_parameters_and_where_torch_can_operations(tmp_path, capsys):
    config = ROOT / "configs" / "fastscnn" / "fast_scnn_lr0.12_8x4_160k_cityscapes.py"
    assert run("get_flops", "--config", config, "--size", "256x128") == 0
    shown = capsys.readouterr().out
    assert f"all:             {1456617 / 1e6:10.3f} M parameters" in shown and "decode_head:" in shown
    assert ("has no counter" in shown) == (TORCH_VERSION < (2, 1))
    assert ("256x128:" in shown and "GFLOPs" in shown) == (TORCH_VERSION >= (2, 1))


def test_publish_model_keeps_weights_and_meta_and_names_the_hash(streets, tmp_path, capsys):
    import hashlib

    source = streets[1] / "latest.pth"
    assert run("publish_model", "--checkpoint", source, "--out", tmp_path / "new" / "model.pth") == 0
    path = Path(capsys.readouterr().out.strip())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert path == tmp_path / "new" / f"model-{digest[:8]}.pth" and list(path.parent.iterdir()) == [path]
    before, after = load_checkpoint(source), load_checkpoint(path)
    assert set(after) == {"meta", "state_dict"} and "optimizer" in before and after["meta"] == before["meta"]
    assert before["state_dict"].keys() == after["state_dict"].keys()
    assert all(torch.equal(value, after["state_dict"][name]) for name, value in before["state_dict"].items())
    assert run("publish_model", "--checkpoint", tmp_path / "no.pth", "--out", tmp_path / "x.pth") == 1
    assert "there is no checkpoint" in capsys.readouterr().err

"""Ways to spoil a sound task."""

import json
import os
import shutil
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, Callable, Dict, Tuple

import torch
from PIL import Image

from mmseg.engine.checkpoint import load_checkpoint
from tests.end_to_end.bad_inputs.task_folder import COCO, TaskFolder

IMAGE = "assets/train-000.jpg"
CANDIDATE = "assets/candidate-000.jpg"
CONFIG, WEIGHTS = "package/model.py", "package/model.pth"


def remove(name: str) -> Callable[[TaskFolder], None]:
    return lambda task: task.path(name).unlink()


def text(name: str, content: str) -> Callable[[TaskFolder], None]:
    """The file holds `content`; a file that the task writes itself keeps it."""
    return data(name, content.encode("utf-8"))


def data(name: str, content: bytes) -> Callable[[TaskFolder], None]:
    def spoil(task: TaskFolder) -> None:
        path = task.path(name)
        path.unlink()
        path.write_bytes(content)
        _leave(task, name)

    return spoil


def folder(name: str) -> Callable[[TaskFolder], None]:
    def spoil(task: TaskFolder) -> None:
        task.path(name).unlink()
        task.path(name).mkdir()
        _leave(task, name)

    return spoil


def cut(name: str, kept: float) -> Callable[[TaskFolder], None]:
    def spoil(task: TaskFolder) -> None:
        content = task.path(name).read_bytes()
        data(name, content[: int(len(content) * kept)])(task)

    return spoil


def dangling(name: str) -> Callable[[TaskFolder], None]:
    def spoil(task: TaskFolder) -> None:
        task.path(name).unlink()
        task.path(name).symlink_to(task.root / "gone")

    return spoil


def pipe(name: str) -> Callable[[TaskFolder], None]:
    """A pipe into which nobody writes."""

    def spoil(task: TaskFolder) -> None:
        task.path(name).unlink()
        os.mkfifo(str(task.path(name)))
        _leave(task, name)

    return spoil


def device(name: str) -> Callable[[TaskFolder], None]:
    """A device that can be read without end."""

    def spoil(task: TaskFolder) -> None:
        task.path(name).unlink()
        task.path(name).symlink_to("/dev/zero")
        _leave(task, name)

    return spoil


def env(change: Callable[[Dict[str, Any]], Any]) -> Callable[[TaskFolder], None]:
    return lambda task: change(task.env)


def without(key: str) -> Callable[[TaskFolder], None]:
    return lambda task: task.config.pop(key)


def more_lines(name: str, lines: str) -> Callable[[TaskFolder], None]:
    def spoil(task: TaskFolder) -> None:
        with open(task.path(name), "a", encoding="utf-8") as stream:
            stream.write(lines.replace("{in}", str(task.root / "in")))

    return spoil


def coco(change: Callable[[Dict[str, Any]], Any]) -> Callable[[TaskFolder], None]:
    """Change the contents of the annotation file."""

    def spoil(task: TaskFolder) -> None:
        content = task.coco()
        changed = change(content)
        task.path(COCO).write_text(json.dumps(content if changed is None else changed), encoding="utf-8")

    return spoil


def segmentation(value: Any) -> Callable[[TaskFolder], None]:
    """The first image has one more annotation, with this segmentation."""

    def spoil(task: TaskFolder) -> None:
        content, (image_id, _) = task.coco(), task.first_image()
        category = next(a["category_id"] for a in content["annotations"] if a["image_id"] == image_id)
        content["annotations"].append({"id": 777, "image_id": image_id, "category_id": category, "segmentation": value})
        task.path(COCO).write_text(json.dumps(content), encoding="utf-8")

    return spoil


def in_annotations(content: Dict[str, Any], entry: Any) -> None:
    content["annotations"].append(entry)


def many_candidates(task: TaskFolder) -> None:
    lines = []
    for number in range(100):
        image = task.path(CANDIDATE).with_name(f"copy-{number}.jpg")
        shutil.copy(str(task.path(CANDIDATE)), str(image))
        lines.append(f"{image}\n")
    task.path("candidate-index.tsv").write_text("".join(lines), encoding="utf-8")


def label_pictures(mode: str, size: Tuple[int, int], label_map: str = "") -> Callable[[TaskFolder], None]:
    """Every image has a label picture instead of the annotation file."""

    def spoil(task: TaskFolder) -> None:
        for name in ("train-index.tsv", "val-index.tsv"):
            index, lines = task.path(name), []
            for line in index.read_text(encoding="utf-8").splitlines():
                image = Path(line.split("\t")[0])
                picture = task.path("annotations") / f"{image.stem}.png"
                Image.new(mode, size).save(str(picture))
                lines.append(f"{image}\t{picture}\n")
            index.write_text("".join(lines), encoding="utf-8")
        if label_map:
            (task.path("annotations") / "labelmap.txt").write_text(label_map, encoding="utf-8")

    return spoil


def png_of(width: int, height: int) -> bytes:
    """A small PNG file that declares any size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content) & 0xFFFFFFFF
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def other_weights(task: TaskFolder) -> None:
    task.path(WEIGHTS).unlink()
    torch.save({"state_dict": {"backbone.other.weight": torch.zeros(3)}}, str(task.path(WEIGHTS)))


def package_classes(*names: str) -> Callable[[TaskFolder], None]:
    """The model package names these classes."""

    def spoil(task: TaskFolder) -> None:
        checkpoint = load_checkpoint(task.path(WEIGHTS))
        checkpoint["meta"]["CLASSES"] = list(names)
        torch.save(checkpoint, str(task.path(WEIGHTS)))

    return spoil


def other_network(task: TaskFolder) -> None:
    text(CONFIG, task.path(CONFIG).read_text(encoding="utf-8").replace("FastSCNN", "Magic"))(task)


def zip_of_texts(task: TaskFolder) -> None:
    task.path(WEIGHTS).unlink()
    with zipfile.ZipFile(task.path(WEIGHTS), "w") as archive:
        archive.writestr("readme.txt", "no weights")


def _leave(task: TaskFolder, name: str) -> None:
    if name == "env.yaml":
        task.env = None
    if name == "config.yaml":
        task.config = None

"""A sound task on disk, to be spoilt."""

import json
from pathlib import Path
from typing import Any, Dict, Tuple

import yaml

COCO = "annotations/coco.json"


class TaskFolder:
    """The files of `in`, and the contents of env.yaml and config.yaml."""

    def __init__(self, env_file: Path) -> None:
        self.env_file = env_file
        self.root = env_file.parent.parent
        self.env: Dict[str, Any] = yaml.safe_load(env_file.read_text(encoding="utf-8"))
        self.config_file = Path(self.env["input"]["config_file"])
        self.config: Dict[str, Any] = yaml.safe_load(self.config_file.read_text(encoding="utf-8"))
        self.out = env_file.parent / "out"

    def write(self) -> None:
        """Write env.yaml and config.yaml, but for files that were spoilt themselves."""
        for path, content in ((self.env_file, self.env), (self.config_file, self.config)):
            if content is not None:
                path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")

    def path(self, name: str) -> Path:
        """A file of the task: env.yaml, config.yaml, or one below `in`."""
        special = {"env.yaml": self.env_file, "config.yaml": self.config_file}
        return special.get(name, self.root / "in" / name)

    def coco(self) -> Dict[str, Any]:
        """The contents of the annotation file."""
        return json.loads(self.path(COCO).read_text(encoding="utf-8"))

    def first_image(self) -> Tuple[int, str]:
        """Id and file name of the first image of the training index."""
        for image in self.coco()["images"]:
            if image["file_name"].endswith("train-000.jpg"):
                return image["id"], image["file_name"]
        raise LookupError("train-000.jpg")

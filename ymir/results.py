"""What the platform reads back: result.yaml, result.tsv and infer-result.json."""

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Iterable, Mapping, Sequence, Tuple

import yaml

from ymir.atomic import replacing

# The platform's SDK drops the oldest stage beyond this number.
MAX_STAGES = 11


@dataclass(frozen=True)
class Stage:
    """One set of weights that the platform offers to its user. The files are base names in the models folder; scores
    are in [0, 1]."""

    name: str
    files: Tuple[str, ...]
    timestamp: int
    miou: float
    macc: float


def write_training_result(path: Path, stages: Sequence[Stage], *, best: str, evaluation: Mapping[str, float]) -> None:
    """Write result.yaml.

    Args:
        stages: newest last; the oldest that is neither `best` nor the last is left out where there are more than the
            platform takes.
        best: name of the best stage.
        evaluation: further numbers of the best stage, for evaluate_config.
    """
    stages = list(stages)
    while len(stages) > MAX_STAGES:
        stages.remove(next(stage for stage in stages[:-1] if stage.name != best))
    score = next(stage.miou for stage in stages if stage.name == best)
    content = {
        "best_stage_name": best,
        "mIoU": score,
        "map": score,
        "model_stages": {
            stage.name: {
                "stage_name": stage.name,
                "files": list(stage.files),
                "timestamp": stage.timestamp,
                "mIoU": stage.miou,
                "mAcc": stage.macc,
                "mAP": stage.miou,
            }
            for stage in stages
        },
        "evaluate_config": {name: float(value) for name, value in evaluation.items()},
    }
    with replacing(path) as stream:
        yaml.safe_dump(content, stream, sort_keys=False, allow_unicode=True)


def write_mining_result(path: Path, ranked: Iterable[Tuple[str, float]]) -> None:
    """Write result.tsv: `IMAGE<TAB>SCORE`, in the order given, which must be by falling score."""
    with replacing(path) as stream:
        for image, score in ranked:
            stream.write(f"{image}\t{score:.10g}\n")


def write_infer_result(path: Path, class_names: Sequence[str], images: Iterable[Tuple[str, Mapping[str, Any]]]) -> None:
    """Write infer-result.json as a stream, so that memory does not grow with the number of images.

    Args:
        class_names: the categories; their ids are 1, 2, …
        images: for each candidate its path and {"height", "width", "annotations"}, the annotations without ids.
    """
    categories = [{"id": index, "name": name, "supercategory": name} for index, name in enumerate(class_names, 1)]
    annotation_id = 0
    # The section of the images comes after that of the annotations; until then it waits in a file.
    with replacing(path) as stream, _spool(Path(path).parent) as listed:
        stream.write('{"categories": ' + json.dumps(categories, ensure_ascii=False) + ',\n"annotations": [')
        for image_id, (image, found) in enumerate(images, 1):
            entry = {
                "id": image_id,
                "file_name": os.path.basename(image),
                "width": found["width"],
                "height": found["height"],
            }
            listed.write((",\n" if image_id > 1 else "\n") + json.dumps(entry, ensure_ascii=False))
            for annotation in found["annotations"]:
                annotation_id += 1
                stream.write(",\n" if annotation_id > 1 else "\n")
                stream.write(json.dumps({"id": annotation_id, "image_id": image_id, **annotation}))
        stream.write('\n],\n"images": [')
        listed.seek(0)
        shutil.copyfileobj(listed, stream, 1 << 20)
        stream.write("\n]}\n")


def _spool(folder: Path) -> IO[str]:
    """A file without a name, which is gone when it is closed."""
    return tempfile.TemporaryFile("w+", dir=str(folder), encoding="utf-8", newline="\n")

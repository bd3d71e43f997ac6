"""List the published models of the config files: accuracy, memory, speed, and where the weights are."""

import argparse
import sys
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.command import CommandError, command_parser, run_command

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
HEADER = ("config", "backbone", "data set", "crop", "iterations", "memory (GB)", "images/s", "mIoU", "ms+flip", "Dice")
SORT_KEYS = {"name": "config", "memory": "memory", "speed": "speed", "miou": "miou"}


class PublishedModel(NamedTuple):
    """One entry of a metafile.yml; what was not published is None.

    memory is that of the training on one GPU, in GB; speed is in images per second; miou, miou_ms_flip and dice are in
    percent.
    """

    config: str
    backbone: str
    dataset: str
    crop_size: str
    iterations: int
    memory: Optional[float]
    speed: Optional[float]
    miou: Optional[float]
    miou_ms_flip: Optional[float]
    dice: Optional[float]
    weights: str

    @property
    def family(self) -> str:
        """The folder of the config file."""
        return Path(self.config).parent.name


def read_models(configs: Path = CONFIGS) -> List[PublishedModel]:
    """The models of every metafile.yml under `configs`, in the order of the folders and of their files.

    Raises CommandError when there is none, or one cannot be read.
    """
    files = sorted(configs.glob("*/metafile.yml"))
    if not files:
        raise CommandError(f"{configs}: there is no folder with a metafile.yml in it")
    return [model for file in files for model in _read_file(file)]


def _read_file(file: Path) -> List[PublishedModel]:
    try:
        return [_published(entry) for entry in yaml.safe_load(file.read_text(encoding="utf-8"))["Models"]]
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CommandError(f"{file}: this is not valid YAML: {error}") from error
    except KeyError as error:
        raise CommandError(f"{file}: an entry of Models has no {error}") from error
    except (AttributeError, IndexError, TypeError) as error:
        raise CommandError(f"{file}: the key Models with a list of published models is expected") from error


def _published(entry: Dict[str, Any]) -> PublishedModel:
    metadata, result = entry["Metadata"], entry["Results"][0]
    metrics = result["Metrics"]
    return PublishedModel(
        config=entry["Config"],
        backbone=metadata["backbone"],
        dataset=result["Dataset"],
        crop_size="x".join(metadata["crop size"].strip("()").split(",")),
        iterations=metadata["lr schd"],
        memory=metadata.get("Training Memory (GB)"),
        speed=metadata.get("inference speed (images/s)"),
        miou=metrics.get("mIoU"),
        miou_ms_flip=metrics.get("mIoU(ms+flip)"),
        dice=metrics.get("Dice"),
        weights=entry["Weights"],
    )


def format_table(models: Sequence[PublishedModel]) -> str:
    """The models as lines of aligned columns, `-` for what was not published."""
    rows = [HEADER, *(tuple("-" if value is None else str(value) for value in model[:-1]) for model in models)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    result = command_parser(
        "List the published models of the config files: accuracy, memory, speed, and where the weights are.",
        "python tools/list_models.py --family hrnet --dataset Cityscapes --sort miou",
        "python tools/list_models.py --family segformer --weights",
    )
    result.add_argument("--family", metavar="NAME", help="only the config files of this folder, such as hrnet")
    result.add_argument("--dataset", metavar="NAME", help="only those trained on this data set, such as ADE20K")
    result.add_argument("--sort", choices=tuple(SORT_KEYS), help="best first (the order of publication)")
    result.add_argument("--weights", action="store_true", help="print config files and addresses of weights instead")
    result.add_argument("--configs", type=Path, default=CONFIGS, metavar="DIR", help="the folder of the config files")
    return result


def list_models(options: argparse.Namespace) -> None:
    """Do what the options ask for."""
    models = read_models(options.configs)
    for option, attribute in (("family", "family"), ("dataset", "dataset")):
        wanted = getattr(options, option)
        if wanted is not None:
            known = sorted({getattr(model, attribute) for model in models})
            models = [model for model in models if getattr(model, attribute).lower() == wanted.lower()]
            if not models:
                raise CommandError(f"there is no {option} {wanted!r} among these models, only {', '.join(known)}")
    if options.sort is not None:
        models = sorted_models(models, options.sort)
    if options.weights:
        for model in models:
            print(f"{model.config}  {model.weights}")
    else:
        print(format_table(models))


def sorted_models(models: Sequence[PublishedModel], key: str) -> List[PublishedModel]:
    """By a name of SORT_KEYS: names in alphabetical order, numbers with the best first and the unknown last."""
    attribute = SORT_KEYS[key]
    if key == "name":
        return sorted(models, key=lambda model: model.config)
    sign = 1 if key == "memory" else -1

    def rank(model: PublishedModel) -> float:
        value = getattr(model, attribute)
        return float("inf") if value is None else sign * value

    return sorted(models, key=rank)


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(parser(), list_models, arguments)


if __name__ == "__main__":
    sys.exit(main())

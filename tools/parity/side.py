"""Measure one side: `python side.py theirs|ours REQUEST.json FOLDER`, in the environment of that side.

Runs as a script, so that only its own folder is on the path and `mmseg` is the one of the environment, or for `ours`
the project's. Writes FOLDER/STEP.json for each step, FOLDER/transforms.npz and FOLDER/networks.npz.
"""

import hashlib
import importlib
import json
import logging
import sys
import warnings
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import cases
import inputs
import numpy as np
import torch


class Side:
    """One side's package with what was asked for. `configs` are the resolved contents by file name."""

    def __init__(self, package: Any, request: Dict[str, Any], folder: Path) -> None:
        self.package = package
        self.root = Path(request["root"] or package.ROOT)
        self.request = request
        self.folder = folder
        self.configs: Dict[str, Any] = {}
        self.errors: Dict[str, str] = {}

    def about(self) -> Dict[str, Any]:
        return {"versions": self.package.about(), "python": sys.version.split()[0], "root": str(self.root)}

    def read(self) -> Dict[str, Any]:
        """Resolved contents, with tuples told from lists, or errors."""
        for path in sorted(self.root.rglob("*.py")):
            name = path.relative_to(self.root).as_posix()
            try:
                self.configs[name] = self.package.read_config(str(path))
            except Exception as error:
                self.errors[name] = sentence(error)
        contents = {name: {"content": encode(content)} for name, content in self.configs.items()}
        return {**contents, **{name: {"error": error} for name, error in self.errors.items()}}

    def layouts(self) -> Dict[str, Any]:
        """Names and shapes of the state_dict of each distinct network, or why it cannot be built."""
        skip_initialization()
        models, built = {}, {}
        for name, content in self.configs.items():
            if name.startswith("_base_") or not isinstance(content.get("model"), dict):
                continue
            key = digest([cases.comparable_model(content["model"]), beside_model(content)])
            models[name] = key
            if key in built:
                continue
            try:
                layout = [(entry, list(value.shape)) for entry, value in self.build(content).state_dict().items()]
                built[key] = {"layout": layout}
            except Exception as error:
                built[key] = {"error": sentence(error)}
        return {"models": models, "built": built}

    def build(self, content: Dict[str, Any]) -> torch.nn.Module:
        return self.package.build_model(cases.comparable_model(content["model"]), beside_model(content))

    def networks(self) -> Dict[str, Any]:
        """Losses, gradients and (in networks.npz) logits of the networks that were asked for."""
        skip_initialization()
        found, arrays = {}, {}
        for name in self.request["networks"]:
            try:
                found[name], arrays[name] = self.measure(self.configs[name])
            except Exception as error:
                found[name] = {"error": self.errors.get(name) or sentence(error)}
        np.savez_compressed(str(self.folder / "networks.npz"), **arrays)
        return found

    def measure(self, content: Dict[str, Any]) -> Tuple[Dict[str, Any], np.ndarray]:
        model = self.build(content)
        inputs.fill(model)
        image, label = inputs.network_input(cases.classes_of(content["model"]))
        with torch.no_grad():
            logits = self.package.logits(model, image).numpy()
        torch.manual_seed(0)  # of heads that train on drawn points
        total, named = self.package.losses(model, image, label)
        total.backward()
        gradients = {}
        for part, module in model.named_children():
            squares = [
                float(parameter.grad.double().pow(2).sum())
                for parameter in module.parameters()
                if parameter.grad is not None
            ]
            if squares:
                gradients[part] = sum(squares) ** 0.5
        record = {
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "losses": named,
            "gradients": gradients,
        }
        return record, logits[:, :, ::8, ::8]

    def transforms(self) -> List[Any]:
        """What each transform makes of each input: numbers in transforms.npz, the rest here."""
        arrays, results = {}, []
        for cfg in cases.TRANSFORMS:
            for seed, (height, width) in enumerate(cases.SIZES):
                number = len(results)
                try:
                    result = self.package.transform(cfg, inputs.transform_input(seed, height, width))
                    leaves = dict(flatten(result))
                except Exception as error:
                    results.append({"error": sentence(error)})
                    continue
                rest = {}
                for place, value in leaves.items():
                    array = np.asarray(value)
                    if array.dtype.kind in "fiub":
                        arrays[f"{number}{place}"] = array
                    else:
                        rest[place] = repr(value)
                results.append({"rest": rest})
        np.savez_compressed(str(self.folder / "transforms.npz"), **arrays)
        return results

    def schedules(self) -> List[Any]:
        """Learning rates of the cases, and of every distinct `lr_config` of the configs."""
        wanted = {digest(case): case for case in cases.SCHEDULES}
        for content in self.configs.values():
            lr_config, runner = content.get("lr_config"), content.get("runner")
            if isinstance(lr_config, dict) and isinstance(runner, dict) and "type" in runner:
                case = (lr_config, cases.shortened(runner))
                wanted.setdefault(digest(case), case)
        results = []
        for key in sorted(wanted):
            lr_config, runner = wanted[key]
            try:
                rates = self.package.learning_rates(
                    dict(lr_config), runner, list(cases.BASE_RATES), cases.ITERS_PER_EPOCH
                )
                results.append({"case": encode(lr_config), "rates": rates})
            except Exception as error:
                results.append({"case": encode(lr_config), "error": sentence(error)})
        return results

    def optimizers(self) -> Dict[str, Any]:
        """For a config of each distinct optimizer: the settings of every parameter."""
        skip_initialization()
        seen, results = set(), {}
        first = [name for name in self.request["networks"] if name in self.configs]
        for name in [*first, *self.configs]:
            content = self.configs[name]
            optimizer = content.get("optimizer")
            if (
                name.startswith("_base_")
                or not isinstance(optimizer, dict)
                or not isinstance(content.get("model"), dict)
            ):
                continue
            if digest(optimizer) in seen:
                continue
            seen.add(digest(optimizer))
            try:
                results[name] = self.settings(content)
            except Exception as error:
                results[name] = {"error": sentence(error)}
        return results

    def settings(self, content: Dict[str, Any]) -> Dict[str, Any]:
        model = self.build(content)
        optimizer = self.package.optimizer_groups(model, content["optimizer"])
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        keys = ("lr", "weight_decay", "momentum", "betas")
        settings = {}
        for group in optimizer.param_groups:
            values = [group.get(key) for key in keys]
            for parameter in group["params"]:
                settings[names[id(parameter)]] = values
        return {"type": type(optimizer).__name__, "settings": settings}


STEPS: Dict[str, Callable[[Side], Any]] = {
    "about": Side.about,
    "read": Side.read,
    "transforms": Side.transforms,
    "schedules": Side.schedules,
    "networks": Side.networks,
    "optimizers": Side.optimizers,
    "layouts": Side.layouts,
}


def skip_initialization() -> None:
    """Leave new parameters as they come: every value is filled in, or only its shape counts."""
    for name in dir(torch.nn.init):
        if name.endswith("_") and not name.startswith("_"):
            setattr(torch.nn.init, name, lambda tensor, *arguments, **options: tensor)


def beside_model(content: Dict[str, Any]) -> Dict[str, Any]:
    """`train_cfg` and `test_cfg` where a config has them beside the model."""
    return {key: content[key] for key in ("train_cfg", "test_cfg") if isinstance(content.get(key), dict)}


def encode(value: Any) -> Any:
    """A config's value as JSON has it, with tuples told from lists, and keys that are no text from those that are."""
    if isinstance(value, dict):
        return {key if isinstance(key, str) else f"({type(key).__name__}) {key}": encode(v) for key, v in value.items()}
    if isinstance(value, tuple):
        return {"(tuple)": [encode(item) for item in value]}
    if isinstance(value, list):
        return [encode(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else {"(other)": repr(value)}


def digest(value: Any) -> str:
    """A short name for a config's value."""
    return hashlib.sha1(json.dumps(encode(value), sort_keys=True).encode()).hexdigest()[:16]


def flatten(value: Any, place: str = "") -> Iterator[Tuple[str, Any]]:
    """The leaves of a transform's result with their places in it."""
    if type(value).__name__ == "DataContainer":
        value = value.data
    if isinstance(value, torch.Tensor):
        value = value.numpy()
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flatten(item, f"{place}/{key}")
    elif isinstance(value, (list, tuple)):
        yield f"{place}#", len(value)
        for number, item in enumerate(value):
            yield from flatten(item, f"{place}/{number}")
    else:
        yield place, value


def sentence(error: Exception) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:400]


def main(which: str, request_file: str, folder: str) -> None:
    """Do the steps of the request."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    request = json.loads(Path(request_file).read_text(encoding="utf-8"))
    side = Side(importlib.import_module(which), request, Path(folder))
    for step in request["steps"]:
        result = STEPS[step](side)
        Path(folder, f"{step}.json").write_text(json.dumps(result), encoding="utf-8")
        print(f"{which}: {step}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

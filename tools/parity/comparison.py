"""The two sides' files, compared."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

# Relative: of ‖ours − theirs‖ for logits, of each loss, and of each part's gradient norm.
LOGITS, LOSSES, GRADIENTS, RATES = 1e-4, 1e-4, 1e-3, 1e-6

# Entries of a sample that are another way on purpose: here the shapes follow the image through every transform, and
# which of several scales was drawn is not kept.
_DELIBERATE = ("/img_shape", "/pad_shape", "/scale_idx")


@dataclass
class Row:
    """One thing that was compared: its name, whether it agrees (None: there is nothing to compare) and why not."""

    name: str
    agrees: Optional[bool]
    note: str = ""
    numbers: Dict[str, float] = field(default_factory=dict)


def load(folder: Path, step: str) -> Any:
    """What a side left of a step; None where it did not take it."""
    path = folder / f"{step}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def compare_configs(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> List[Row]:
    """Each config file: whether its resolved content is the same."""
    rows = []
    for name in sorted(theirs):
        their, our = theirs[name], ours.get(name, {"error": "not read"})
        if "error" in their:
            rows.append(Row(name, None if "error" in our else False, f"theirs: {their['error']}"))
        elif "error" in our:
            rows.append(Row(name, False, our["error"]))
        else:
            place = difference(their["content"], our["content"])
            rows.append(Row(name, place is None, "" if place is None else f"differs at {place}"))
    return rows


def difference(theirs: Any, ours: Any, place: str = "") -> Optional[str]:
    """Where two values of JSON differ first, in types too; None where they do not."""
    if type(theirs) is not type(ours):
        return place or "."
    if isinstance(theirs, dict):
        for key in sorted({*theirs, *ours}):
            if key not in theirs or key not in ours:
                return f"{place}.{key}"
            found = difference(theirs[key], ours[key], f"{place}.{key}")
            if found is not None:
                return found
        return None
    if isinstance(theirs, list):
        if len(theirs) != len(ours):
            return place or "."
        for number, (a, b) in enumerate(zip(theirs, ours)):
            found = difference(a, b, f"{place}.{number}")
            if found is not None:
                return found
        return None
    return None if theirs == ours else place or "."


@dataclass
class Built:
    """One config: whether its network is built there and here, and where both are, whether the layouts are equal."""

    name: str
    there: bool
    here: bool
    same: Optional[bool]
    note: str = ""


def compare_layouts(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> List[Built]:
    """Each config with a network: names and shapes of the state_dict, in their order."""
    rows = []
    for name in sorted(theirs["models"]):
        their = theirs["built"][theirs["models"][name]]
        our = ours["built"].get(ours["models"].get(name), {"error": "not read"})
        there, here = "layout" in their, "layout" in our
        same, note = None, ""
        if there and here:
            same = their["layout"] == our["layout"]
            note = "" if same else _layout_difference(their["layout"], our["layout"])
        elif not here:
            note = our["error"]
        else:
            note = f"there: {their['error']}"
        rows.append(Built(name, there, here, same, note))
    return rows


def _layout_difference(theirs: Sequence[Any], ours: Sequence[Any]) -> str:
    their, our = dict(theirs), dict(ours)
    for name, shape in their.items():
        if name not in our:
            return f"{name} is missing"
        if our[name] != shape:
            return f"{name} is {our[name]} for {shape}"
    further = [name for name in our if name not in their]
    return f"{further[0]} is not in the original" if further else "the order differs"


def compare_networks(theirs: Path, ours: Path) -> List[Row]:
    """Each network that was run: logits, losses and gradients."""
    their_records, our_records = load(theirs, "networks"), load(ours, "networks")
    rows = []
    with np.load(str(theirs / "networks.npz")) as their_logits, np.load(str(ours / "networks.npz")) as our_logits:
        for name, their in their_records.items():
            our = our_records.get(name, {"error": "not run"})
            if "error" in their:
                rows.append(Row(name, None, f"theirs: {their['error']}"))
            elif "error" in our:
                rows.append(Row(name, None if is_missing(our["error"]) else False, our["error"]))
            else:
                rows.append(_network_row(name, their, our, their_logits[name], our_logits[name]))
    return rows


def is_missing(error: str) -> bool:
    """Whether an error says that a type is not there at all."""
    return error.startswith("ConfigError: there is no ")


def _network_row(name: str, their: Any, our: Any, their_logits: np.ndarray, our_logits: np.ndarray) -> Row:
    if their_logits.shape != our_logits.shape:
        return Row(name, False, f"logits {our_logits.shape} for {their_logits.shape}")
    numbers = {"logits": float(np.linalg.norm(our_logits - their_logits) / np.linalg.norm(their_logits))}
    notes = []
    for key in ("losses", "gradients"):
        if their[key].keys() != our[key].keys():
            notes.append(f"{key} {', '.join(our[key])} for {', '.join(their[key])}")
        shared = [name for name in their[key] if name in our[key]]
        numbers[key] = max((_relative(our[key][name], their[key][name], name) for name in shared), default=0.0)
    if their["parameters"] != our["parameters"]:
        notes.append(f"{our['parameters']} parameters for {their['parameters']}")
    limits = {"logits": LOGITS, "losses": LOSSES, "gradients": GRADIENTS}
    close = all(numbers[key] <= limit for key, limit in limits.items())
    return Row(name, close and not notes, "; ".join(notes), numbers)


def _relative(ours: float, theirs: float, name: str) -> float:
    # An accuracy is a share of pixels in percent, in which one pixel between two classes can fall to either.
    return abs(ours - theirs) / (100.0 if "acc" in name else max(abs(theirs), 1e-9))


def compare_transforms(theirs: Path, ours: Path, names: Sequence[str]) -> List[Row]:
    """Each transform over all its inputs: every entry of the sample, exactly."""
    results = [(load(folder, "transforms"), np.load(str(folder / "transforms.npz"))) for folder in (theirs, ours)]
    (their_rest, their_arrays), (our_rest, our_arrays) = results
    their_keys, our_keys = _by_number(their_arrays.files), _by_number(our_arrays.files)
    inputs = len(their_rest) // len(names)
    rows = []
    for number, name in enumerate(names):
        notes, beside, same, errors = [], [], 0, 0
        for case in range(number * inputs, (number + 1) * inputs):
            their, our = their_rest[case], our_rest[case]
            if "error" in their or "error" in our:
                errors += "error" in their
                if "error" not in their:
                    notes.append(f"input {case % inputs}: {our['error']}")
                elif "error" not in our:
                    beside.append(f"input {case % inputs} works here only")
                continue
            differences = _sample_differences(
                {key: their_arrays[f"{case}{key}"] for key in their_keys.get(case, ())},
                {key: our_arrays[f"{case}{key}"] for key in our_keys.get(case, ())},
                their["rest"],
                our["rest"],
            )
            wrong = [note for key, note in differences if not key.startswith(_DELIBERATE)]
            same += not wrong
            notes += [f"input {case % inputs}: {note}" for note in wrong[:1]]
            beside += [f"on purpose: {key[1:].split('/')[0]}" for key, _ in differences if key.startswith(_DELIBERATE)]
        note = "; ".join(notes[:2]) or ", ".join(sorted(set(beside)))
        rows.append(Row(name, not notes, note, {"same": same, "of": inputs - errors}))
    for _, arrays in results:
        arrays.close()
    return rows


def _by_number(files: Sequence[str]) -> Dict[int, List[str]]:
    keys: Dict[int, List[str]] = {}
    for file in files:
        number, slash, place = file.partition("/")
        if slash:
            keys.setdefault(int(number), []).append(f"/{place}")
    return keys


def _sample_differences(
    their: Dict[str, np.ndarray], our: Dict[str, np.ndarray], their_rest: Dict[str, str], our_rest: Dict[str, str]
) -> List[Tuple[str, str]]:
    """(place, what differs); what is in the sample here alone is no difference."""
    found = []
    for key, value in their.items():
        mine = our.get(key)
        if mine is None:
            found.append((key, f"{key[1:]} is missing"))
        elif mine.shape != value.shape:
            found.append((key, f"{key[1:]} has the shape {mine.shape} for {value.shape}"))
        elif not np.array_equal(mine, value):
            largest = np.abs(mine.astype(np.float64) - value.astype(np.float64)).max()
            found.append((key, f"{key[1:]} differs by up to {largest:.3g}"))
    for key, text in their_rest.items():
        if our_rest.get(key) != text:
            found.append((key, f"{key[1:]} is {our_rest.get(key)} for {text}"))
    return found


def compare_schedules(theirs: Sequence[Any], ours: Sequence[Any]) -> List[Row]:
    """Each schedule: the largest relative difference of a rate."""
    rows = []
    for their, our in zip(theirs, ours):
        name = ", ".join(f"{key}={value}" for key, value in their["case"].items())
        if "error" in their:
            rows.append(Row(name, None, f"theirs: {their['error']}"))
        elif "error" in our:
            rows.append(Row(name, False, our["error"]))
        else:
            a, b = np.asarray(their["rates"]), np.asarray(our["rates"])
            if a.shape != b.shape:
                rows.append(Row(name, False, f"{b.shape} rates for {a.shape}"))
                continue
            largest = float((np.abs(a - b) / np.maximum(np.abs(a), 1e-12)).max())
            rows.append(Row(name, largest <= RATES, "", {"rates": largest}))
    return rows


def compare_optimizers(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> List[Row]:
    """Each optimizer: learning rate, weight decay, momentum and betas of every parameter."""
    rows = []
    for name, their in theirs.items():
        our = ours.get(name, {"error": "not built"})
        if "error" in their:
            rows.append(Row(name, None, f"theirs: {their['error']}"))
        elif "error" in our:
            rows.append(Row(name, None if is_missing(our["error"]) else False, our["error"]))
        else:
            rows.append(_optimizer_row(name, their, our))
    return rows


def _optimizer_row(name: str, their: Any, our: Any) -> Row:
    if their["type"] != our["type"]:
        return Row(name, False, f"{our['type']} for {their['type']}")
    for parameter, values in their["settings"].items():
        mine = our["settings"].get(parameter)
        if mine is None:
            return Row(name, False, f"{parameter} is not optimized")
        if not _same_settings(values, mine):
            return Row(name, False, f"{parameter} has {mine} for {values}")
    further = [parameter for parameter in our["settings"] if parameter not in their["settings"]]
    if further:
        return Row(name, False, f"{further[0]} is optimized")
    return Row(name, True, "", {"parameters": len(their["settings"])})


def _same_settings(theirs: Sequence[Any], ours: Sequence[Any]) -> bool:
    for a, b in zip(theirs, ours):
        if isinstance(a, float) and isinstance(b, (int, float)):
            if abs(a - b) > RATES * abs(a):
                return False
        elif a != b:
            return False
    return True


def families(rows: Sequence[Built]) -> Dict[str, List[Built]]:
    """The rows by the folder of their config."""
    grouped: Dict[str, List[Built]] = {}
    for row in rows:
        grouped.setdefault(row.name.split("/")[0], []).append(row)
    return grouped


def agreeing(rows: Sequence[Row]) -> Tuple[int, int, int]:
    """How many agree, of how many that could be compared, and how many could not."""
    compared = [row for row in rows if row.agrees is not None]
    return sum(bool(row.agrees) for row in compared), len(compared), len(rows) - len(compared)

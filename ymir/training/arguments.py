"""The hyper-parameter args_options: the options that people know from mmsegmentation's training command."""

import argparse
import shlex
from dataclasses import dataclass
from typing import List, NoReturn, Optional, Tuple

from ymir.errors import ParameterError

# Options of that command which the platform decides about.
_DECIDED_BY_YMIR = {
    "--work-dir": "the output folder is env.yaml's",
    "--gpus": "the GPUs are gpu_id's",
    "--gpu-ids": "the GPUs are gpu_id's",
    "--gpu-id": "the GPUs are gpu_id's",
    "--launcher": "processes are started for every GPU of gpu_id",
    "--local_rank": "processes are started for every GPU of gpu_id",
}


@dataclass(frozen=True)
class TrainingArguments:
    """What args_options says. `cfg_options` come after those of the hyper-parameter of that name and win over them."""

    seed: int = 0
    deterministic: bool = False
    load_from: Optional[str] = None
    resume_from: Optional[str] = None
    auto_resume: bool = False
    validate: bool = True
    cfg_options: Tuple[str, ...] = ()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ParameterError(f"args_options: {message}; allowed are {self.format_usage().split(':', 1)[1].strip()}")


def parse_training_arguments(text: str) -> TrainingArguments:
    """Parse args_options.

    Raises:
        ParameterError: names the option that is unknown, lacks a value, or is decided by the platform.
    """
    try:
        words: List[str] = shlex.split(text)
    except ValueError as error:
        raise ParameterError(f"args_options is {text!r}, which cannot be split into words: {error}") from error
    for word in words:
        option = word.split("=")[0]
        if option in _DECIDED_BY_YMIR:
            raise ParameterError(f"args_options: {option} cannot be set here; {_DECIDED_BY_YMIR[option]}")
    parser = _Parser(prog="args_options", add_help=False, allow_abbrev=False)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--deterministic", action="store_true")
    # Accepted because people know it; here the processes never draw the same random numbers anyway.
    parser.add_argument("--diff-seed", "--diff_seed", action="store_true")
    parser.add_argument("--load-from")
    parser.add_argument("--resume-from")
    parser.add_argument("--auto-resume", action="store_true")
    parser.add_argument("--no-validate", action="store_true")
    parser.add_argument("--cfg-options", "--options", nargs="+", default=[], action="extend")
    found = parser.parse_args(words)
    if not 0 <= found.seed < 2**32:
        raise ParameterError(f"args_options: --seed is {found.seed}, but must be from 0 to {2**32 - 1}")
    return TrainingArguments(
        seed=found.seed,
        deterministic=found.deterministic,
        load_from=found.load_from,
        resume_from=found.resume_from,
        auto_resume=found.auto_resume,
        validate=not found.no_validate,
        cfg_options=tuple(found.cfg_options),
    )

"""Where pre-trained weights come from: files of a local folder, else downloads where these are allowed.

A config names weights by a file, by an address, or by a short name that stands for one: `open-mmlab://resnet50_v1c`,
`torchvision://resnet50`, `mmcls://mobilenet_v2`. Which address a short name stands for is in published_weights.json.
"""

import functools
import json
import logging
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple
from urllib.parse import quote, unquote, urlsplit

import torch

from mmseg.engine.download import download, has_published_hash
from mmseg.errors import CheckpointError

logger = logging.getLogger("mmseg")

_TABLE = Path(__file__).with_name("published_weights.json")
_SUFFIXES = (".pth", ".pt")
_MAX_NAME = 255  # bytes of a file's name
# Where timm publishes its weights; all files have the same name there.
_TIMM = "https://huggingface.co/timm/{}/resolve/main/pytorch_model.bin"
# Other spellings of the schemes.
_SCHEMES = {"openmmlab": "open-mmlab", "modelzoo": "torchvision"}
# Published files end in a date, a hash, or both: mit_b0_20220624-7e0fe6dd, resnet50_v1c-2cccc1ad.
_STEM = re.compile(r"(?P<name>.+?)(_\d{8}(_\d{6})?)?(-[0-9a-f]{8,64})?")


@dataclass(frozen=True)
class WeightsAddress:
    """What a config's text for weights means.

    text: as the config has it.
    url: where the file is published; None for a plain path and for a name that nothing is known about.
    file_name: what the file is called, wherever it lies.
    name: the short name's last part, another possible stem of a file; else the stem of `file_name`.
    prefix: which of the file's entries are the backbone's, where all files of the kind have that prefix, else "".
    """

    text: str
    url: Optional[str]
    file_name: str
    name: str
    prefix: str = ""

    @classmethod
    def parse(cls, text: str) -> "WeightsAddress":
        """Understand `open-mmlab://NAME`, `torchvision://NAME`, `mmcls://NAME`, `timm://NAME`, `http(s)://…/FILE` or a
        path.

        Raises:
            CheckpointError: it names no file.
        """
        text = str(text).strip()
        scheme, separator, rest = text.partition("://")
        if not separator:
            file_name = Path(text).name
            url = _published("file").get(file_name)
            address = cls(text, url, file_name, Path(text).stem)
        elif scheme.lower() in ("http", "https"):
            file_name = Path(unquote(urlsplit(text).path)).name
            address = cls(text, text, file_name, Path(file_name).stem)
        else:
            scheme = _SCHEMES.get(scheme.lower(), scheme.lower())
            name = Path(rest).name
            url = _TIMM.format(quote(name)) if scheme == "timm" else _published(scheme).get(rest)
            published = url if url and scheme != "timm" else None
            own_name = name + ("" if name.endswith(_SUFFIXES) else ".pth")
            file_name = Path(urlsplit(published).path).name if published else own_name
            address = cls(text, url, file_name if name else "", name, "backbone." if scheme == "mmcls" else "")
        unusable = len(address.file_name.encode("utf-8", "replace")) > _MAX_NAME or not address.file_name.isprintable()
        if unusable or address.file_name in ("", ".", "..", ".pth"):
            raise CheckpointError(f"{text[:200]!r} names no file of weights")
        return address


@functools.lru_cache(maxsize=None)
def _table() -> Dict[str, Dict[str, str]]:
    return json.loads(_TABLE.read_text(encoding="utf-8"))


def _published(scheme: str) -> Mapping[str, str]:
    """Short names of a scheme to addresses; `file`: names of files that configs expect somewhere."""
    return _table().get(scheme, {})


@dataclass(frozen=True)
class WeightsSource:
    """The places where weights are looked for.

    folders: searched with their subfolders, in order, by the names that a published file may have.
    download: whether what lies in no folder may be fetched from its published address.
    cache_dir: where downloads are kept, and found again; None is torch's own cache (below TORCH_HOME), or a folder of
        this user's in the system's temporary one where that cannot be written.
    """

    folders: Tuple[Path, ...] = ()
    download: bool = False
    cache_dir: Optional[Path] = None

    def find(self, text: str) -> Path:
        """The file of the weights, which are downloaded where that is allowed and needed.

        Raises:
            CheckpointError: it lies nowhere, or cannot be downloaded; says which file to put where.
        """
        found = self.find_local(text)
        if found is not None:
            return found
        address = WeightsAddress.parse(text)
        if not self.download or address.url is None:
            raise CheckpointError(f"the weights {address.text} are not here: {self.advice(text)}")
        try:
            return download(address.url, _writable(self._cache_dir()) / address.file_name)
        except CheckpointError as error:
            raise CheckpointError(f"{error}: {self.advice(text)}") from error

    def find_local(self, text: str) -> Optional[Path]:
        """The file of the weights if it is on this machine: at the path itself, in a folder, or downloaded before."""
        address = WeightsAddress.parse(text)
        if "://" not in str(text) and os.path.isfile(text):
            return Path(text)
        for folder in self.folders:
            found = _search(folder, address)
            if found is not None:
                return found
        cached = self._cache_dir() / address.file_name
        # Only of a file with a hash in its name is it known that it is the published one, and whole.
        return cached if address.url and cached.is_file() and has_published_hash(cached) else None

    def advice(self, text: str) -> str:
        """What to do about weights that are not here, as the end of a sentence."""
        address = WeightsAddress.parse(text)
        where = f"the folder {self.folders[0]}" if self.folders else "the folder of pre-trained weights"
        return f"put the file {address.file_name}" + (f" ({address.url})" if address.url else "") + f" into {where}"

    def _cache_dir(self) -> Path:
        return self.cache_dir if self.cache_dir is not None else Path(torch.hub.get_dir()) / "checkpoints"


def _writable(folder: Path) -> Path:
    """The folder, made where it is missing; or a new one of this process where that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=str(folder)):
            return folder
    except OSError as error:
        own = Path(tempfile.mkdtemp(prefix="mmseg-weights-"))
        logger.warning("%s cannot be written (%s): downloads go to %s", folder, error.strerror, own)
        return own


def _search(folder: Path, address: WeightsAddress) -> Optional[Path]:
    """The file in `folder` that fits best: called as published, else by the plain name, else, where the address has no
    hash itself, as published under another date or hash."""
    published = Path(address.file_name).stem
    plain = {address.name, _plain(published)}
    ranked = []
    for path in folder.rglob("*"):
        if path.suffix not in _SUFFIXES:
            continue
        if path.name == address.file_name:
            rank = 0
        elif path.stem in plain:
            rank = 1
        elif published == _plain(published) == _plain(path.stem):
            rank = 2
        else:
            continue
        if path.is_file():
            ranked.append((rank, len(path.parts), str(path)))
    return Path(min(ranked)[2]) if ranked else None


def _plain(stem: str) -> str:
    """A file's stem without the date and the hash at its end."""
    return _STEM.fullmatch(stem).group("name") if stem else stem


def pretrained_addresses(model: Mapping[str, Any]) -> List[str]:
    """The weights that a model's config names for its parts, by `pretrained` or an `init_cfg` of type Pretrained."""
    found: List[str] = []

    def visit(value: Any) -> None:
        if isinstance(value, Mapping):
            if isinstance(value.get("pretrained"), str):
                found.append(value["pretrained"])
            if value.get("type") == "Pretrained" and isinstance(value.get("checkpoint"), str):
                found.append(value["checkpoint"])
            value = list(value.values())
        if isinstance(value, (list, tuple)):
            for item in value:
                visit(item)

    visit(model)
    return found

"""The hyper-parameters of each task: one typed table, from which the templates in img_man/ and the tables in the
READMEs are generated.

A field's default is the template's value. `description` is its English documentation, the entry "zh" of
`json_schema_extra` the Chinese one.
"""

import difflib
import re
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Type, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ymir.errors import ParameterError

Size = Tuple[int, int]

# What the platform itself adds to config.yaml, or reads from it; not hyper-parameters.
PLATFORM_KEYS = frozenset(
    {
        "class_names",
        "task_id",
        "gpu_id",
        "gpu_count",
        "object_type",
        "pretrained_model_params",
        "model_params_path",
        "task_type",
        "protocol_version",
        "executor_id",
        "preprocess",
    }
)

IGNORE_BLANK_AREA_ALIAS = "ignore_blank_area"

_INT32 = 2**31 - 1
_INT64 = 2**63 - 1


def _parameter(default: Any, english: str, chinese: str, **constraints: Any) -> Any:
    return Field(default=default, description=english, json_schema_extra={"zh": chinese}, **constraints)


def _whole_number(default: int, english: str, chinese: str, *, lowest: int, highest: int = _INT64) -> Any:
    return _parameter(default, english, chinese, ge=lowest, le=highest)


def _choice(default: str, choices: Sequence[str], english: str, chinese: str) -> Any:
    return Field(default=default, description=english, json_schema_extra={"zh": chinese, "choices": list(choices)})


class Parameters(BaseModel):
    """What the three tables have in common: immutable, tolerant of the ways people write a value, strict about its
    meaning."""

    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _blank_means_default(cls, values: Mapping[str, Any]) -> Dict[str, Any]:
        return {k: v for k, v in values.items() if v is not None and not (isinstance(v, str) and not v.strip())}

    @field_validator("*", mode="before")
    @classmethod
    def _from_people(cls, value: Any, info: Any) -> Any:
        field = cls.model_fields[info.field_name]
        if field.annotation is int and isinstance(value, bool):
            raise ValueError("a truth value is not a number")
        if field.annotation is str and isinstance(value, (bool, int, float)):
            value = str(value)
        if isinstance(value, str):
            value = value.strip()
            choices = choices_of(field)
            if choices:
                spelled = {choice.lower(): choice for choice in choices}
                if value.lower() not in spelled:
                    raise ValueError("not one of the choices")
                return spelled[value.lower()]
        return value


class _SharedMemory(Parameters):
    shm_size: str = _parameter(
        "128G",
        "Shared memory of the container, set by the platform; 32G for each GPU are recommended",
        "容器可使用的共享内存大小，由 YMIR 平台设置，建议每张 GPU 32G",
    )


class _Loading(_SharedMemory):
    samples_per_gpu: int = _whole_number(
        2,
        "Images in a batch on each GPU (or on the CPU, where infer and mining take them one by one)",
        "每张 GPU（或 CPU）一批处理的图片数量，在 CPU 上推理与挖掘逐张计算",
        lowest=1,
        highest=4096,
    )
    workers_per_gpu: int = _whole_number(
        2,
        "Processes that load images for each GPU; 0 loads in the main process",
        "每张 GPU 对应的数据读取进程数，0 表示在主进程中读取",
        lowest=0,
        highest=256,
    )
    max_image_pixels: int = _whole_number(
        1 << 28,
        "Images of more pixels are refused before they are decoded",
        "像素数超过该值的图片在解码前即被拒绝",
        lowest=1,
    )
    image_size: str = _parameter(
        "",
        "Width x height to which an image is resized before cropping, e.g. 480x360; empty: as the config file says",
        "图像裁剪前缩放到的宽x高，如 480x360；为空则采用配置文件中的设置",
    )

    @field_validator("image_size")
    @classmethod
    def _image_size_is_a_size(cls, value: str) -> str:
        return _checked_size(value)

    @property
    def size(self) -> Optional[Size]:
        """`image_size` as (width, height) in pixels, or None."""
        return parse_size(self.image_size)


class TrainingParameters(_Loading):
    """Hyper-parameters of training."""

    export_format: str = _choice(
        "seg-coco:raw",
        ["seg-coco:raw", "seg-mask:raw"],
        "Format in which the platform exports the data set: a COCO json, or one label mask for each image",
        "YMIR 平台导出数据集的格式：COCO json，或每张图片一个标注掩码",
    )
    config_file: str = _parameter(
        "configs/fastscnn/fast_scnn_lr0.12_8x4_160k_cityscapes.py",
        "The mmsegmentation config file that training starts from: below the code folder, or an absolute path",
        "训练所用的 mmsegmentation 配置文件：相对代码目录的路径或绝对路径",
    )
    max_iters: int = _whole_number(20000, "Iterations of training", "训练的迭代次数", lowest=1, highest=_INT32)
    interval: int = _whole_number(
        2000,
        "Iterations between two evaluations, each of which also writes checkpoints",
        "验证及保存权重文件的迭代间隔",
        lowest=1,
    )
    crop_size: str = _parameter(
        "",
        "Width x height of the crops to train on, e.g. 480x352; empty: as the config file says",
        "训练时裁剪的宽x高，如 480x352；为空则采用配置文件中的设置",
    )
    args_options: str = _parameter(
        "",
        "Options of the training command: --seed N, --deterministic, --diff-seed, --load-from FILE, --resume-from "
        "FILE, --auto-resume, --no-validate, "
        "--cfg-options KEY=VALUE ...",
        "训练命令行参数：--seed N、--deterministic、--diff-seed、--load-from FILE、--resume-from FILE、"
        "--auto-resume、--no-validate、"
        "--cfg-options KEY=VALUE ...",
    )
    cfg_options: str = _parameter(
        "",
        "Changes to the config file, separated by spaces, e.g. optimizer.lr=0.02 "
        "data.train.pipeline.3.cat_max_ratio=0.9",
        "对配置文件的修改，以空格分隔，如 optimizer.lr=0.02 data.train.pipeline.3.cat_max_ratio=0.9",
    )
    save_least_file: bool = _parameter(
        True, "Keep only the best and the latest weights", "是否只保存最优和最新的权重文件"
    )
    max_keep_ckpts: int = _whole_number(
        -1,
        "With save_least_file False: how many of the best and of the latest weights to keep; -1: all",
        "save_least_file 为 False 时，最多保存的最优与最新权重文件数量；-1 表示保存所有",
        lowest=-1,
    )
    ignore_black_area: bool = _parameter(
        False,
        "Ignore pixels without annotation instead of learning them as background (also accepted as ignore_blank_area)",
        "是否忽略未标注的区域，否则将其当成背景进行训练（也可写作 ignore_blank_area）",
    )
    weights_dir: str = _parameter(
        "",
        "Folder with pre-trained weights, used when the task brings none; empty: the environment variable "
        "YMIR_WEIGHTS_DIR, else /weights",
        "任务未指定预训练模型时查找预训练权重的目录；为空则采用环境变量 YMIR_WEIGHTS_DIR，否则为 /weights",
    )

    @model_validator(mode="before")
    @classmethod
    def _accept_the_alias(cls, values: Mapping[str, Any]) -> Dict[str, Any]:
        values = dict(values)
        alias = values.pop(IGNORE_BLANK_AREA_ALIAS, None)
        # A template always carries the documented name with its default, so a value under the other name was typed
        # by a person.
        if alias is not None and not (isinstance(alias, str) and not alias.strip()):
            documented = values.get("ignore_black_area")
            if str(documented).strip().lower() in ("none", "", "false", "0"):
                values["ignore_black_area"] = alias
        return values

    @field_validator("max_keep_ckpts")
    @classmethod
    def _keeps_something(cls, value: int) -> int:
        if value == 0:
            raise ValueError("nothing would be kept")
        return value

    @field_validator("crop_size")
    @classmethod
    def _crop_size_is_a_size(cls, value: str) -> str:
        return _checked_size(value)

    @property
    def crop(self) -> Optional[Size]:
        """`crop_size` as (width, height) in pixels, or None."""
        return parse_size(self.crop_size)


class _Predicting(_Loading):
    """What infer and mining have in common; asked for together, both run on one pass of the network."""

    fp16: bool = _parameter(
        True, "Run the network in half precision; without effect on a CPU", "是否采用半精度加速网络推理，在 CPU 上无效"
    )
    bf16: bool = _parameter(
        False,
        "Run the network in bfloat16, also on a CPU; wins over fp16",
        "是否采用 bfloat16 运行网络，在 CPU 上同样有效，优先于 fp16",
    )
    compile: bool = _parameter(
        False,
        "Compile the network by torch.compile (torch 2 and later); pays for large pools of images of one size",
        "是否使用 torch.compile 编译网络（torch 2 及以上），适合大量同尺寸图片",
    )
    on_bad_image: str = _choice(
        "fail",
        ["fail", "skip"],
        "What an unreadable image does: fail the task, or be skipped, listed in /out/bad-images.tsv",
        "遇到无法读取的图片时：fail 任务失败；skip 跳过，并记录到 /out/bad-images.tsv",
    )


class InferParameters(_Predicting):
    """Hyper-parameters of infer."""

    aug_test: bool = _parameter(
        False,
        "Average the predictions over six scales, from half to 1.75 times the size, and their mirror images",
        "是否使用多尺度（0.5 至 1.75 倍，共六种）及水平翻转的测试时增强",
    )
    save_masks: bool = _parameter(
        False,
        "Also write each class map as a palette picture, /out/predictions/NAME.png",
        "是否同时将类别图保存为调色板图片 /out/predictions/NAME.png",
    )


class MiningParameters(_Predicting):
    """Hyper-parameters of mining."""

    mining_algorithm: str = _choice(
        "RSAL",
        [
            "RSAL",
            "RIPU",
            "random",
            "entropy",
            "margin",
            "least_confidence",
            "BvSB",
            "class_balanced",
            "coreset",
            "uncertainty_coreset",
        ],
        "Mining algorithm",
        "挖掘算法名称",
    )
    mining_level: str = _choice(
        "image",
        ["image", "region"],
        "What random, entropy, margin, least_confidence, BvSB and class_balanced score: whole images, or superpixels",
        "random、entropy、margin、least_confidence、BvSB、class_balanced 的评分对象：整张图像或超像素区域",
    )
    superpixel_algorithm: str = _choice(
        "slico",
        ["slico", "slic", "mslic", "seeds"],
        "Superpixel algorithm of RSAL and of the region level",
        "超像素算法名称，用于 RSAL 及区域级挖掘",
    )
    superpixel_backend: str = _choice(
        "opencv",
        ["opencv", "torch"],
        "Who computes slico and slic: OpenCV on the CPU, or the own operators on the device of the network",
        "slico 与 slic 的计算方式：opencv 在 CPU 上计算，torch 在网络所在设备上计算",
    )
    uncertainty_method: str = _choice(
        "BvSB",
        ["BvSB", "entropy", "margin", "least_confidence"],
        "Uncertainty of a pixel in RSAL, class_balanced and uncertainty_coreset",
        "像素不确定性计算方法名称，用于 RSAL、class_balanced 与 uncertainty_coreset",
    )
    disagreement: str = _choice(
        "none",
        ["none", "dropout", "flip"],
        "Measure instead how far several predictions of an image disagree (BALD): with active dropout, or of its "
        "mirror image (and all views of the model's own test-time augmentation)",
        "改为度量同一图像多次预测的分歧（BALD）：dropout 启用随机失活，flip 使用镜像图像（及模型自带的测试时增强）",
    )
    disagreement_samples: int = _whole_number(
        8,
        "Predictions of an image with disagreement dropout",
        "disagreement 为 dropout 时每张图像的预测次数",
        lowest=2,
        highest=1000,
    )
    max_superpixel_per_image: int = _whole_number(
        1024, "Most superpixels in an image", "一张图像中超像素的数量上限", lowest=1
    )
    max_kept_mining_image: int = _whole_number(5000, "Most images to label", "挖掘图像数量的上限", lowest=1)
    topk_superpixel_score: int = _whole_number(
        3, "Fewest regions to label in an image", "一张图像中至少标注的区域数量", lowest=1
    )
    class_balance: bool = _parameter(
        True, "Prefer regions of rare classes (RSAL)", "是否考虑各类标注的平衡性，用于 RSAL"
    )
    ripu_region_radius: int = _whole_number(
        1, "Radius of a region of RIPU, in pixels", "RIPU 区域半径，单位为像素", lowest=0
    )
    coreset_candidates: int = _whole_number(
        4,
        "uncertainty_coreset spreads over so many times max_kept_mining_image of the most uncertain images",
        "uncertainty_coreset 从不确定性最高的多少倍 max_kept_mining_image 张图像中选取",
        lowest=1,
    )
    mining_seed: int = _whole_number(
        0, "Seed of random and of disagreement dropout", "random 与 dropout 的随机种子", lowest=0
    )
    save_overlays: bool = _parameter(
        True,
        "Also draw the regions to label over each kept image, /out/overlays/NAME.jpg",
        "是否将待标注区域叠加绘制到入选图像上，保存为 /out/overlays/NAME.jpg",
    )


TABLES: Dict[str, Type[Parameters]] = {
    "training": TrainingParameters,
    "infer": InferParameters,
    "mining": MiningParameters,
}

AnyParameters = TypeVar("AnyParameters", bound=Parameters)


def choices_of(field: Any) -> List[str]:
    """The values a field allows by name; empty where it is not such a field."""
    return (field.json_schema_extra or {}).get("choices", [])


def parse_size(text: str) -> Optional[Size]:
    """'480x360' as (480, 360); None for the empty text. Raises ValueError for anything else."""
    if not text:
        return None
    found = re.fullmatch(r"\s*(\d{1,6})\s*[xX×*]\s*(\d{1,6})\s*", text)
    if not found or not int(found.group(1)) or not int(found.group(2)):
        raise ValueError("not a size")
    return int(found.group(1)), int(found.group(2))


def read_parameters(table: Type[AnyParameters], values: Mapping[str, Any], *, source: str) -> AnyParameters:
    """Validate the entries of `values` that belong to `table`.

    Args:
        source: the file that the values come from, for the message.

    Raises:
        ParameterError: names the file, the key, the value and what is allowed, for every wrong key at once.
    """
    try:
        return table(**{str(k): v for k, v in values.items()})
    except ValidationError as error:
        wrong = []
        for problem in error.errors():
            key = str(problem["loc"][0])
            value = values.get(key, values.get(IGNORE_BLANK_AREA_ALIAS) if key == "ignore_black_area" else None)
            wrong.append(f"{key} is {value!r}, but must be {allowed_values(table, key)}")
        raise ParameterError(f"{source}: " + "; ".join(wrong)) from error


def allowed_values(table: Type[Parameters], key: str) -> str:
    """In words, what the field `key` allows."""
    field = table.model_fields[key]
    choices = choices_of(field)
    if choices:
        return "one of " + ", ".join(choices)
    if key in ("image_size", "crop_size"):
        return "WIDTHxHEIGHT in pixels such as 480x360, or empty"
    if key == "max_keep_ckpts":
        return f"-1 or a whole number from 1 to {_INT64}"
    if field.annotation is bool:
        return "True or False"
    if field.annotation is int:
        lowest, highest = (next(getattr(m, name) for m in field.metadata if hasattr(m, name)) for name in ("ge", "le"))
        return f"a whole number from {lowest} to {highest}"
    return "text"


def unknown_keys(values: Mapping[str, Any]) -> Dict[str, List[str]]:
    """Keys of config.yaml that no table and no platform key explains, each with the known names that look like it."""
    known = set(PLATFORM_KEYS) | {IGNORE_BLANK_AREA_ALIAS}
    for table in TABLES.values():
        known |= set(table.model_fields)
    return {str(k): difflib.get_close_matches(str(k), known, n=2) for k in values if str(k) not in known}


def _checked_size(value: str) -> str:
    size = parse_size(value)
    return f"{size[0]}x{size[1]}" if size else ""

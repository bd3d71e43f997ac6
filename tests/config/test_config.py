"""Config and ConfigDict: access, copies, equality and overrides."""

import copy
import pickle

import pytest

from mmseg.config import Config, ConfigDict
from mmseg.errors import ConfigError

CONTENT = dict(
    model=dict(type="M", backbone=dict(depth=18, strides=(1, 2)), pretrained=None),
    pipeline=[dict(type="A"), dict(type="B", transforms=[dict(type="C", keys=["img"])])],
    lr=0.1,
)


@pytest.fixture
def cfg():
    return Config(CONTENT)


def test_attributes_and_items_at_all_depths(cfg):
    assert cfg.model.backbone.depth == cfg["model"]["backbone"]["depth"] == 18
    assert cfg.pipeline[1].transforms[0].type == "C"
    assert cfg.get("gone", 3) == 3 and cfg.model.get("gone") is None and "lr" in cfg and "gone" not in cfg
    assert list(cfg) == list(cfg.keys()) == list(CONTENT) and dict(cfg.items()) == CONTENT and len(cfg) == 3
    assert {**cfg} == CONTENT
    assert isinstance(cfg.model, dict)


@pytest.mark.parametrize("part", [lambda cfg: cfg, lambda cfg: cfg.model, lambda cfg: cfg.pipeline[0]])
def test_missing_attribute_and_item(part, cfg):
    with pytest.raises(AttributeError, match="'gone'"):
        _ = part(cfg).gone
    with pytest.raises(KeyError):
        part(cfg)["gone"]
    assert not hasattr(part(cfg), "gone") and not hasattr(part(cfg), "__array__")


def test_setting(cfg):
    cfg.new = dict(a=dict(b=1))
    cfg.model.head = [dict(type="H")]
    cfg["pipeline"][0]["p"] = {"q": 1}
    cfg.model.update(neck=dict(x=1))
    assert cfg.new.a.b == 1 and cfg.model.head[0].type == "H" and cfg.pipeline[0].p.q == 1 and cfg.model.neck.x == 1
    assert cfg.model.setdefault("extra", dict(y=2)).y == 2
    del cfg.new.a, cfg.lr
    assert cfg.new == {} and "lr" not in cfg
    with pytest.raises(AttributeError):
        cfg.model.items = 1
    with pytest.raises(AttributeError):
        cfg.filename = "x"
    with pytest.raises(AttributeError):
        del cfg.model.gone
    with pytest.raises(ConfigError, match="pretty_text"):
        cfg["pretty_text"] = 1


def test_keys_named_like_methods_are_items():
    cfg = Config({"items": 1, "model": {"keys": 2, "__deepcopy__": 3, "__reduce_ex__": 4}})
    assert cfg["items"] == 1 and cfg.model["keys"] == 2
    assert copy.deepcopy(cfg) == cfg == pickle.loads(pickle.dumps(cfg))
    assert copy.deepcopy(cfg.model) == cfg.model


def test_content_is_copied_in_and_out(cfg):
    cfg.model.type = "other"
    plain = cfg.to_dict()
    plain["model"]["backbone"]["depth"] = 1
    assert CONTENT["model"]["type"] == "M" and cfg.model.backbone.depth == 18
    assert type(plain["model"]) is type(plain["pipeline"][1]["transforms"][0]) is dict
    assert type(cfg.model.to_dict()["backbone"]) is dict


def test_copies_and_pickles_are_equal_and_independent(cfg, tmp_path):
    file = tmp_path / "a.py"
    file.write_text("m = dict(x=[dict(y=1)])")
    read = Config.fromfile(file)
    for duplicate in (copy.deepcopy(read), pickle.loads(pickle.dumps(read))):
        assert duplicate == read and duplicate.filename == str(file) and isinstance(duplicate.m.x[0], ConfigDict)
        duplicate.m.x[0].y = 2
        assert read.m.x[0].y == 1 and duplicate != read
    part = pickle.loads(pickle.dumps(copy.deepcopy(cfg.model)))
    assert part == cfg.model and part.backbone.depth == 18
    assert cfg.model.copy().backbone is cfg.model.backbone


def test_equality(cfg):
    assert cfg == Config(CONTENT) == CONTENT and cfg != Config() and cfg != 3
    assert Config(dict(a=[1])) != Config(dict(a=(1,)))


def test_made_from_a_mapping_only():
    with pytest.raises(ConfigError, match="list"):
        Config([1])


def test_overrides(cfg):
    cfg.merge_from_dict(
        {
            "lr": 0.2,
            "model.backbone.depth": 50,
            "model.pretrained.url": "x",
            "pipeline.0.type": "X",
            "pipeline.1.transforms.0.keys.0": "gt",
            "model.backbone.strides.1": 4,
            "new.a.b": [1],
            "pipeline.0": dict(prob=0.5),
            "model.backbone": dict(norm=dict(type="BN")),
        }
    )
    assert cfg.to_dict() == dict(
        model=dict(type="M", backbone=dict(depth=50, strides=(1, 4), norm=dict(type="BN")), pretrained=dict(url="x")),
        pipeline=[dict(type="X", prob=0.5), dict(type="B", transforms=[dict(type="C", keys=["gt"])])],
        lr=0.2,
        new=dict(a=dict(b=[1])),
    )
    assert cfg.new.a.b == [1] and cfg.pipeline[0].prob == 0.5


def test_override_with_delete_and_with_indices_in_a_dict(cfg):
    cfg.merge_from_dict({"model": dict(_delete_=True, type="N"), "pipeline": {"1": {"type": "Z"}}})
    assert cfg.model == dict(type="N") and cfg.pipeline[1].type == "Z" and cfg.pipeline[0].type == "A"


@pytest.mark.parametrize(
    "key, message",
    [
        ("pipeline.2.type", "'pipeline.2' is out of range, for there are 2 items"),
        ("pipeline.99999999999999999999", "out of range"),
        ("pipeline.x", "an index must stand for 'x'"),
        ("pipeline.-1", "an index must stand for '-1'"),
        ("model.backbone.strides.2", "'model.backbone.strides.2' is out of range"),
        ("lr.x", "'lr' is a float, which has no key 'x'"),
        ("model..type", "must be a key such as"),
        ("", "must be a key such as"),
        (".lr", "must be a key such as"),
    ],
)
def test_override_that_leads_nowhere_changes_nothing(key, message, cfg):
    with pytest.raises(ConfigError, match=message):
        cfg.merge_from_dict({"model.type": "changed", key: 1})
    assert cfg == CONTENT


def test_override_of_a_list_can_be_forbidden(cfg):
    with pytest.raises(ConfigError, match="'pipeline' is a list"):
        cfg.merge_from_dict({"pipeline.0.type": "X"}, allow_list_keys=False)
    with pytest.raises(ConfigError, match="_delete_"):
        cfg.merge_from_dict({"pipeline": {"0": {"type": "X"}}}, allow_list_keys=False)


def test_override_by_a_dict_over_a_scalar_is_refused(cfg):
    with pytest.raises(ConfigError, match="override 'lr'.*float"):
        cfg.merge_from_dict({"lr": dict(x=1)})

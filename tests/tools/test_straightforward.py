"""What the benchmark compares with is the same mathematics."""

import numpy as np
import pytest
import torch

from tools.benchmark import straightforward
from tools.benchmark.untrained_package import write_untrained_package
from tools.demo_data import write_data
from ymir.mining import build_miner, compute_superpixels
from ymir.rle import encode_class_map


@pytest.fixture(scope="module")
def logits():
    coarse = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 5, 9, 12)) * 3)
    return torch.nn.functional.interpolate(coarse, (72, 96), mode="bilinear", align_corners=False)[0]


def test_rsal_and_ripu(logits):
    probabilities = logits.softmax(dim=0)
    image = np.random.default_rng(1).integers(0, 256, (72, 96, 3), dtype=np.uint8)
    labels = compute_superpixels(image, "slico", 40)
    miner = build_miner(mining_algorithm="RSAL", topk_superpixel_score=3, max_kept_mining_image=1)
    ours = miner.score(logits, labels)
    plain = straightforward.rsal_regions(probabilities, labels)
    np.testing.assert_allclose(ours.score, [score for score, _ in plain], rtol=1e-6)
    assert ours.class_id.tolist() == [class_id for _, class_id in plain]
    pool = [ours, miner.score(logits * 0.5, labels)]
    other = straightforward.rsal_regions((logits * 0.5).softmax(dim=0), labels)
    expected = straightforward.rsal_image_scores([plain, other], topk=3, max_kept=1)
    np.testing.assert_allclose(miner.select(pool).image_scores, expected, rtol=1e-6)
    ripu = build_miner(mining_algorithm="RIPU", topk_superpixel_score=3, ripu_region_radius=2)
    score = straightforward.ripu_image_score(probabilities.float(), radius=2, topk=3)
    np.testing.assert_allclose(ripu.score(logits).score.sum(), score, rtol=1e-4)


def test_annotations(logits):
    class_map = logits.max(dim=0).indices.to(torch.uint8).numpy()
    categories = {index: index + 1 for index in range(5)}
    assert straightforward.annotations(class_map) == encode_class_map(class_map, categories)


def test_a_pool_by_the_network_of_a_package(tmp_path):
    write_data(tmp_path, train=1, val=1, candidates=3, size=(96, 64))
    images = (tmp_path / "in" / "candidate-index.tsv").read_text().splitlines()
    package = write_untrained_package(tmp_path / "package", images, num_classes=4, size=(96, 64))
    network = straightforward.Network(*package)
    scores = straightforward.mine_rsal(network, images, max_count=40, topk=3, max_kept=2)
    assert len(scores) == 3 and all(0 < score < 40 for score in scores)
    sample = network.prepare(images[0])
    probabilities = network.probabilities(sample, network.small_logits(sample))
    assert probabilities.shape == (4, 64, 96)
    # Nobody trained it, and yet it sees several classes.
    assert len(probabilities.max(dim=0).indices.unique()) >= 3

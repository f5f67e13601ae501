"""Every way of describing and searching, by configuration alone; each gives the table that its rooms give."""

import dataclasses
import json

import numpy as np
import pytest

from sjft_tf.descriptors import (
    AlexNetBank,
    ConvolutionBank,
    FeatureDescriber,
    GaborBank,
    HistogramDescriber,
    KerasBank,
    PooledFeatures,
    fit_bin_edges,
)
from sjft_tf.domains import ImageFolder
from sjft_tf.models import build_trunk
from sjft_tf.retrieval import search_exact, squared_distance, symmetric_kl
from sjft_tf.retrieval.specificity import Specificity

SIZE = 32


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    path = tmp_path_factory.mktemp("kernels") / "kernels.npz"
    rng = np.random.default_rng(0)
    np.savez(path, **{"low/kernel": rng.standard_normal((5, 5, 3, 4)).astype(np.float32)})
    return path


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """A small MobileNet, and the file of its weights."""
    trunk = build_trunk("mobilenet", image_size=SIZE, alpha=0.25)
    path = tmp_path_factory.mktemp("net") / "net.weights.h5"
    trunk.save_weights(path)
    return trunk, path


@pytest.fixture
def domains(image_folders):
    return ImageFolder(image_folders["target"]), ImageFolder(image_folders["source"])


def descriptors(bank, domains, bins):
    edges = fit_bin_edges(domains[0], bank, image_size=SIZE, bins=bins, fine_bins=100)
    describer = HistogramDescriber(bank, edges, image_size=SIZE)
    return [describer.describe(domain) for domain in domains]


def search(sjft, tmp_path, config_text, *settings, arguments=()):
    (tmp_path / "a.yaml").write_text(config_text)
    sets = [part for setting in ("image_size=32", *settings) for part in ("--set", setting)]
    result = sjft("search", tmp_path / "a.yaml", "--out", tmp_path / "run", *sets, *arguments)
    assert result.exit_code == 0, result.output
    return np.load(tmp_path / "run" / "neighbors.npz")


def assert_exact(found, bank, domains, bins):
    expected = search_exact(*descriptors(bank, domains, bins), bank.channel_weights, depth=found["indices"].shape[1])
    np.testing.assert_array_equal(found["indices"], expected.indices)
    np.testing.assert_array_equal(found["divergences"], expected.divergences)


def test_alexnet_by_config(sjft, tmp_path, config_text, domains):
    found = search(
        sjft, tmp_path, config_text, "descriptor.bank=alexnet", "descriptor.tap=post_relu", "descriptor.layers=conv1"
    )
    assert_exact(found, AlexNetBank(layers="conv1", tap="post_relu"), domains, 4)


def test_convolution_kernels_by_config(sjft, tmp_path, config_text, domains, kernels):
    found = search(
        sjft,
        tmp_path,
        config_text,
        "descriptor.bank=convolution",
        f"descriptor.weights={kernels}",
        "descriptor.stride=2",
    )
    assert_exact(found, ConvolutionBank(kernels, stride=2), domains, 4)


def of_keras(path, layers):
    values = {"bank": "keras", "backbone": "mobilenet", "alpha": 0.25, "weights": path, "layers": layers}
    return [f"descriptor.{key}={value}" for key, value in values.items()]


def test_layers_of_a_keras_network_by_config(sjft, tmp_path, config_text, domains, net):
    found = search(sjft, tmp_path, config_text, *of_keras(net[1], "'conv1_relu, conv_pw_1_relu'"))
    assert_exact(found, KerasBank(net[0], ["conv1_relu", "conv_pw_1_relu"]), domains, 4)


def test_pooled_features_by_config(sjft, tmp_path, config_text, domains, net):
    found = search(sjft, tmp_path, config_text, *of_keras(net[1], "pooled"))
    describer = FeatureDescriber(PooledFeatures(net[0]), image_size=SIZE)
    distances = squared_distance(*(describer.describe(domain) for domain in domains))
    held = np.take_along_axis(distances, found["indices"], axis=1)
    np.testing.assert_allclose(held, np.sort(distances, axis=1)[:, : held.shape[1]], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["divergences"], held, rtol=1e-5, atol=1e-6)
    assert not (tmp_path / "run" / "bin_edges.npz").exists()


def test_a_store_is_used_and_a_lost_shard_is_made_again(sjft, tmp_path, config_text):
    first = search(sjft, tmp_path, config_text, "descriptor.store=true")
    (shard,) = (tmp_path / "run" / "descriptors").iterdir()
    content = shard.read_bytes()
    for damage in (lambda: None, shard.unlink, lambda: shard.write_bytes(content[:-99])):
        (tmp_path / "run" / "neighbors.npz").unlink()
        damage()
        again = search(sjft, tmp_path, config_text, "descriptor.store=true")
        np.testing.assert_array_equal(again["indices"], first["indices"])
        np.testing.assert_array_equal(again["divergences"], first["divergences"])
        assert shard.read_bytes() == content


def test_scann_by_config_has_a_certificate(sjft, tmp_path, config_text):
    pytest.importorskip("scann")
    exact = search(sjft, tmp_path / "exact", config_text) if (tmp_path / "exact").mkdir() is None else None
    found = search(sjft, tmp_path, config_text, "retrieval.method=scann", "retrieval.dimensions=12")
    np.testing.assert_allclose(found["divergences"], exact["divergences"], rtol=1e-5)  # all images are candidates
    certificate = json.loads((tmp_path / "run" / "retrieval.json").read_text())["certificate"]
    assert certificate["recall"] == 1 and certificate["min_recall"] == 0.95 and certificate["n_targets"] == 12


def test_a_search_says_how_specific_its_lists_are(sjft, tmp_path, config_text, domains, caplog):
    found = search(sjft, tmp_path, config_text, "retrieval.max_k=5")
    bank = GaborBank()
    counts = descriptors(bank, domains, 4)
    matrix = symmetric_kl(*counts, bank.channel_weights, smoothing=0.01)  # 12 x 24: smaller than the sample
    depth, labels = 2, domains[0].labels
    expected = Specificity.of(found["indices"], labels, len(domains[1]), depth=depth, divergences=matrix)
    told = Specificity(**json.loads((tmp_path / "run" / "retrieval.json").read_text())["specificity"])
    assert told.own_share == pytest.approx(expected.own_share, abs=1e-5)
    assert dataclasses.replace(told, own_share=0) == dataclasses.replace(expected, own_share=0)
    assert told.words() in caplog.text


def test_a_search_on_a_beam_runner_is_the_local_one(sjft, tmp_path, config_text):
    pytest.importorskip("apache_beam")
    for name in ("local", "beam"):
        (tmp_path / name).mkdir()
    local = search(sjft, tmp_path / "local", config_text)
    found = search(sjft, tmp_path / "beam", config_text, arguments=("--runner", "DirectRunner"))
    np.testing.assert_array_equal(found["indices"], local["indices"])
    np.testing.assert_array_equal(found["divergences"], local["divergences"])
    assert not (tmp_path / "beam" / "run" / "search").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["descriptor.layers=conv1"], "layers goes with bank alexnet or keras, and bank is gabor"),
        (["descriptor.bank=convolution"], "bank convolution needs weights"),
        (["descriptor.bank=alexnet", "descriptor.weights=nowhere.pth"], "nowhere.pth"),
        (["descriptor.bank=alexnet", "descriptor.layers=conv9"], "layers is 'conv9'"),
        (["descriptor.bank=alexnet", "descriptor.layers=conv5"], "alexnet-tiny-imagenet holds conv1, conv2"),
        (["retrieval.memory_gb=1e-9"], "retrieval.memory_gb is 1e-09"),
    ],
)
def test_settings_that_cannot_be_are_one_line_and_exit_code_2(sjft, tmp_path, config_text, settings, message):
    (tmp_path / "a.yaml").write_text(config_text)
    sets = [part for setting in settings for part in ("--set", setting)]
    result = sjft("search", tmp_path / "a.yaml", "--out", tmp_path / "run", *sets)
    assert result.exit_code == 2
    assert message in result.stderr.splitlines()[-1] and result.stderr.splitlines()[-1].startswith("sjft-tf: ")
    assert not (tmp_path / "run" / "neighbors.npz").exists()

"""The Experiment reads back what it writes, and says of every mistake what would be right."""

import re

import pytest

from sjft_tf.config import ConfigError, differences, load_experiment, parse_experiment, to_yaml

# The shape that the documentation shows.
SAMPLE = """
name: flowers102-64px
seed: 0
image_size: 64
target:     {folder: data/flowers/train}
validation: {folder: data/flowers/val}
test:       {folder: data/flowers/test}
source:     {folder: data/tiny/train}
descriptor: {bank: gabor, bins: 32}
retrieval:  {method: exact}
selection:  {mode: selective, k0: 50, sigma0: 4, sigma1: 2, delta: 0.1, rounds: 5}
model:      {backbone: resnet18v2, width: 0.5, weights: null}
training:   {steps_per_round: 1000, batch_size: 64, learning_rate: 0.1, precision: float32}
"""


def test_sample_reads_as_written_and_defaults_are_the_papers():
    e = parse_experiment(SAMPLE)
    assert e.target.folder == "data/flowers/train" and e.selection.k0 == 50 and e.model.weights is None
    paper = parse_experiment("target: {folder: a}\nsource: {folder: b}")
    s, t = paper.selection, paper.training
    assert (s.mode, s.k0, s.sigma0, s.sigma1, s.delta, s.rounds) == ("selective", 300, 4, 2, 0.1, 5)
    assert (t.batch_size, t.learning_rate, t.momentum, t.weight_decay) == (20, 0.01, 0.9, 1e-4)
    assert (paper.model.backbone, paper.descriptor.n_bins, paper.image_size) == ("resnet152v2", 32, 224)


def test_what_is_written_reads_back_equal():
    text = SAMPLE.replace("{folder: data/tiny/train}", "{union: [{folder: a}, {tfds: imagenet2012, split: train}]}")
    e = parse_experiment(text)
    again = parse_experiment(to_yaml(e))
    assert again == e and differences(e, again) == []
    assert e.source.union[1].tfds == "imagenet2012"


def test_overrides_replace_single_values():
    e = parse_experiment(SAMPLE, ["selection.mode=none", "source=null", "training.learning_rate=1e-3", "name=x=y"])
    assert (e.selection.mode, e.source, e.training.learning_rate, e.name) == ("none", None, 1e-3, "x=y")
    assert e.selection.k0 == 50
    assert parse_experiment(SAMPLE, ["evaluation.view=flip"]).evaluation.view == "flip"


def test_differences_name_keys_and_both_values():
    one, other = parse_experiment(SAMPLE), parse_experiment(SAMPLE, ["selection.k0=100"])
    assert differences(one, other) == [("selection.k0", 50, 100)]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("selection:", "selecton:", "unknown key 'selecton'; did you mean 'selection'"),
        ("k0: 50", "ko: 50", "unknown key 'selection.ko'; did you mean 'k0'"),
        ("{bank: gabor", "{bank: gabr", "must be 'gabor', 'alexnet', 'convolution' or 'keras'; did you mean 'gabor'"),
        ("k0: 50", "k0: many", "selection.k0 is 'many'; it must be a whole number"),
        ("k0: 50", "k0: 0", "line 11: selection.k0 is 0; it must be greater than or equal to 1"),
        ("k0: 50", "k0: true", "selection.k0 is true; it must be a whole number"),
        ("k0: 50", "k0: 2.5", "selection.k0 is 2.5; it must be a whole number"),
        ("delta: 0.1", "delta: .nan", "selection.delta is nan; it must be greater than or equal to 0"),
        ("batch_size: 64", "batch_size: 63", "batch_size is 63; it must be a multiple of 2"),
        ("batch_size: 64", "batch_size: null", "training.batch_size is null; it must be a whole number"),
        ("target:     {folder: data/flowers/train}", "", "target is missing"),
        ("{folder: data/flowers/test}", "{folder: a, table: b}", "test: a domain takes exactly one"),
        ("{folder: data/flowers/test}", "{tfds: mnist}", "test: tfds: mnist needs a split"),
        ("{folder: data/flowers/test}", "{folder: a, split: train}", "split goes with tfds"),
        ("{folder: data/flowers/test}", "data/flowers/test", "test is 'data/flowers/test'; it must be a mapping"),
        ("{folder: data/flowers/test}", "{union: [{folder: a}, {folder: b}]}", "test is a union"),
        ("{folder: data/flowers/train}", "{union: [{folder: a}, {folder: b}]}", "target is a union"),
        ("source:     {folder: data/tiny/train}", "", "there is no source"),
        ("image_size: 64", "image_size: 8", "image_size is 8; it must be greater than or equal to 16"),
        ("image_size: 64", "image_size: 299", "images of 299 px are too large for bank gabor"),
        ("{method: exact}", "{method: exact, max_k: 10}", "retrieval.max_k is 10, less than selection.k0, 50"),
        ("{method: exact}", "[exact]", "retrieval is ['exact']; it must be a mapping"),
        ("seed: 0", "seed: 0\nseed: 1", "line 4: key seed stands twice"),
        ("seed: 0", "seed: -1", "seed is -1; it must be greater than or equal to 0"),
        ("seed: 0", "seed: 4294967296", "seed is 4294967296; it must be less than or equal to 4294967295"),
        ("{method: exact}", "{smoothing: autors}", "it must be a number or 'authors'; did you mean 'authors'"),
        (
            "{method: exact}",
            "{smoothing: -1}",
            "retrieval.smoothing is -1; it must be greater than or equal to 0 or 'authors'",
        ),
        (
            "{bank: gabor",
            "{bank: keras, divergence: hellinger, backbone: x, layers: pooled, weights: y",
            "descriptor: divergence hellinger compares histograms",
        ),
        ("seed: 0", "export: {round: best}\nvalidation: null", "key validation stands twice"),
        ("validation: {folder: data/flowers/val}", "export: {round: best}", "there is no validation domain"),
        ("seed: 0", "seed: [", "line 5: cannot be read as YAML"),
        ("learning_rate: 0.1", "learning_rate: -1", "learning_rate is -1; it must be greater than 0"),
    ],
)
def test_mistakes_are_named_in_one_line(old, new, message):
    assert old in SAMPLE
    with pytest.raises(ConfigError) as raised:
        parse_experiment(SAMPLE.replace(old, new), name="a.yaml")
    assert message in str(raised.value)
    assert str(raised.value).startswith("a.yaml") and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [("selection.k0", "has no '='"), ("seed.x=1", "seed is a value"), ("selection.kk=1", "did you mean 'k0'")],
)
def test_overrides_that_do_not_fit_are_named(override, message):
    with pytest.raises(ConfigError, match=message):
        parse_experiment(SAMPLE, [override])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{method: exact}", "{epsilon: 1e-8}", "line 10: unknown key 'retrieval.epsilon'; retrieval.smoothing takes"),
        ("batch_size: 64", "cache: x", "line 13: unknown key 'training.cache'; resized images are not cached any more"),
        ("batch_size: 64", "cache_gb: 1", "line 13: unknown key 'training.cache_gb'; resized images are not cached"),
    ],
)
def test_a_key_of_earlier_versions_comes_with_what_to_do(old, new, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        parse_experiment(SAMPLE.replace(old, new))


def test_what_is_new_changes_nothing_where_it_is_not_given():
    e = parse_experiment(SAMPLE)
    assert (e.retrieval.smoothing, e.retrieval.hubness, e.descriptor.divergence) == (0.01, "none", "kl")
    assert (e.export.round, parse_experiment("target: {folder: a}\nsource: {folder: b}").retrieval.method) == (
        "last",
        "auto",
    )


def test_a_tilde_is_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    e = parse_experiment(
        SAMPLE, ["test.folder=~/test", "model.weights=~/w.npz", "source={tfds: a, split: b, data_dir: ~}"]
    )
    assert (e.test.folder, e.model.weights, e.source.data_dir) == ("/home/me/test", "/home/me/w.npz", None)
    assert parse_experiment(SAMPLE, ["test.folder='~'"]).test.folder == "/home/me"


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        load_experiment(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"b\.yaml cannot be read"):
        load_experiment(tmp_path / "b.yaml")
    (tmp_path / "c.yaml").write_text("")
    with pytest.raises(ConfigError, match="no mapping"):
        load_experiment(tmp_path / "c.yaml")

"""Every setting of training reaches what it is about; what that then does is tested where it is done."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from sjft_tf.config import parse_experiment, target_images
from sjft_tf.domains import ImageFolder
from sjft_tf.models import PerDomainBatchNormalization
from sjft_tf.retrieval import NeighborTable
from sjft_tf.selection import Selection
from sjft_tf.stages.fitting import compile_model, make_selection, round_data
from sjft_tf.stages.probe import probe_experiment
from sjft_tf.training import JointModel, joint_terms
from sjft_tf.training.callbacks.restart import restart
from sjft_tf.workspace import RunFolder, Workspace, initial_model
from sjft_tf.workspace.models import jit_compile, precision


@pytest.fixture(scope="module")
def experiment(config_text):
    return lambda *settings: parse_experiment(config_text, settings)


def _two_heads(experiment):
    image = keras.Input((4,))
    model = JointModel(image, {name: keras.layers.Dense(2, name=name)(image) for name in ("target", "source")})
    compile_model(experiment, model, jit_compile=False)
    return model


@pytest.mark.parametrize(
    ("setting", "key", "value"),
    [
        ("momentum=0.5", "momentum", 0.5),
        ("weight_decay=0.25", "coupled_weight_decay", 0.25),
        ("decay_head_biases=true", "decay_head_biases", True),
        ("decay_bn=false", "decay_bn", False),
        ("trunk_learning_rate=0.1", "trunk_learning_rate", 0.1),
        ("head_bias_learning_rate=2", "head_bias_learning_rate", 2),
        ("ema_momentum=0.5", "use_ema", True),
        ("ema_momentum=0.5", "ema_momentum", 0.5),
    ],
)
def test_settings_of_the_optimizer_reach_it(experiment, setting, key, value):
    found = []
    for settings in ([], [f"training.{setting}"]):
        model = _two_heads(experiment(*settings))
        found.append(model.optimizer.get_config()[key])
    assert found[0] != value and found[1] == value


def test_the_losses_count_by_their_weights_and_as_the_authors_had_them(experiment, tmp_path):
    def weights(*settings):
        model = initial_model(Workspace(experiment(*settings), RunFolder(tmp_path)))
        return {term.name: term.weight for term in model.terms}, model.iter_size

    assert weights() == ({"target": 1, "source": 1}, 1)
    assert weights("training.source_loss_weight=3", "training.iter_size=2") == ({"target": 1, "source": 3}, 2)
    assert weights("training.losses=authors") == ({"target": 0.5, "source": 0.5}, 1)
    assert weights("training.losses=authors", "selection.mode=none") == ({"target": 1}, 1)


def test_the_schedule_goes_by_rounds_or_over_all_of_them_and_by_lr_step(experiment):
    def rate(step, *settings):
        model = _two_heads(experiment("training.steps_per_round=30", "training.learning_rate=1", *settings))
        restart(model, step, (0, 0))
        return float(model.optimizer.learning_rate)

    # two rounds of 30 steps: a tenth after each 10, or after each 20
    assert [rate(step) for step in (9, 10, 20)] == pytest.approx([1, 0.1, 0.01])
    assert [rate(step, "training.restart=false") for step in (19, 20, 40)] == pytest.approx([1, 0.1, 0.01])
    assert [rate(step, "training.lr_step=4") for step in (3, 4, 13)] == pytest.approx([1, 0.1, 0.001])
    assert rate(15, "training.schedule=cosine") == pytest.approx(0.5)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    indices = np.stack([rng.permutation(24)[:10] for _ in range(12)]).astype(np.int32)
    return NeighborTable(indices, np.tile(np.arange(10, dtype=np.float32), (12, 1)))


def test_settings_of_the_selection_reach_it(experiment, table, image_folders):
    def selection(*settings):
        run = types.SimpleNamespace(experiment=experiment(*settings), source=ImageFolder(image_folders["source"]))
        made = make_selection(run, table)
        made.advance(np.zeros(12), np.zeros(12, bool))
        return made

    assert selection().counts.max() == 10
    assert selection("selection.level_cap=2").counts.max() == 4
    assert (selection().k, selection("selection.k=random").k) == ("entropy", "random")
    in_reach = np.bincount(np.unique(table.indices[:, :4]) // 6, minlength=4)  # six images a class
    least = int(in_reach.min()) + 1
    reduced = selection("selection.level_cap=2", f"selection.min_per_class={least}")
    assert reduced.reachable == in_reach[in_reach >= least].sum() < in_reach.sum()


@pytest.fixture(scope="module")
def drawn(image_folders, table):
    target, source = (ImageFolder(image_folders[role]) for role in ("target", "source"))

    def images(experiment):
        selection = Selection(table, k0=2)
        selection.advance(np.zeros(12), np.arange(12) % 2 == 0)
        model = types.SimpleNamespace(terms=joint_terms())
        run = types.SimpleNamespace(experiment=experiment, target=target, source=source)
        return np.stack([batch[0] for batch in round_data(run, model, selection)])

    return images


@pytest.mark.parametrize(
    "setting",
    [
        "augmentation.geometry=crop", "augmentation.geometry=squash", "augmentation.color=0.5",
        "augmentation.pca_noise=0", "training.target_sampling=level", "training.max_per_class=1", "seed=1",
    ],
)  # fmt: skip
def test_settings_of_the_data_change_them(experiment, drawn, setting):
    smaller = "training.batch_size=6"  # a batch of three target images seldom has all three classes
    one, other = drawn(experiment(smaller)), drawn(experiment(smaller, setting))
    assert one.shape == other.shape and (one != other).any()


def test_an_update_has_as_many_batches_as_set(experiment, drawn):
    assert drawn(experiment("training.iter_size=3")).shape == (3, 24, 16, 16, 3)


def test_the_probe_has_its_own_steps_and_rows_and_the_schedule_once_over_them(experiment):
    run = experiment("training.probe_steps=30", "training.restart=false", "training.learning_rate=1")
    probe = probe_experiment(run)
    assert probe.training.steps_per_round == 30 and probe.seed != run.seed
    assert probe.seed == probe_experiment(run).seed != probe_experiment(run.replaced(seed=1)).seed
    model = _two_heads(probe)
    rates = []
    for step in (9, 10, 20):
        restart(model, step, (0, 0))
        rates.append(float(model.optimizer.learning_rate))
    assert rates == pytest.approx([1, 0.1, 0.01])


def test_target_images_are_counted_over_rounds_and_probe(experiment):
    # 2 rounds of 3 updates of 2 batches with 4 target images, then 5 updates more
    assert target_images(experiment("training.iter_size=2")) == 48
    assert target_images(experiment("training.iter_size=2", "training.probe_steps=5")) == 48 + 40
    assert target_images(experiment("selection.mode=none")) == 24


def test_batch_normalization_is_as_set(experiment, tmp_path):
    def normalizations(*settings):
        model = initial_model(Workspace(experiment(*settings), RunFolder(tmp_path)))
        return [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]

    assert not any(isinstance(layer, PerDomainBatchNormalization) for layer in normalizations())
    assert all(isinstance(layer, PerDomainBatchNormalization) for layer in normalizations("model.bn=per_domain"))
    assert {layer.momentum for layer in normalizations("model.bn_momentum=0.5")} == {0.5}


def test_precision_and_compilation_are_what_is_set_or_what_suits_a_processor(experiment):
    here = tf.distribute.get_strategy()
    assert (precision(experiment().training), jit_compile(experiment().training, here)) == ("float32", False)
    given = experiment("training.precision=mixed_bfloat16", "training.jit_compile=true").training
    assert (precision(given), jit_compile(given, here)) == ("mixed_bfloat16", True)

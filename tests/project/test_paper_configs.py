"""The rows of the paper's tables in configs/paper: what defines each, by hand from the paper, and one update of each.

The update is of a small trunk on miniature images; what defines the arm stays: mode, bank, layers, growth of K, losses, the
form of the domains.
"""

import pathlib
import re
from typing import NamedTuple

import numpy as np
import pytest

from sjft_tf import pipeline
from sjft_tf.config import (
    DescriptorConfig,
    DomainConfig,
    RetrievalConfig,
    load_experiment,
    target_images,
    to_yaml,
)
from sjft_tf.models.weights.alexnet import KERNEL_SHAPES, AlexNetWeights, save_alexnet_weights
from sjft_tf.retrieval import NeighborTable
from sjft_tf.selection import Selection
from sjft_tf.stages.fitting import compile_model, make_selection, round_data
from sjft_tf.workspace import RunFolder, Workspace, initial_model

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/paper.md").read_text()
FLOWERS, DOGS, CALTECH, INDOOR = "oxford_flowers102", "stanford_dogs", "256_ObjectCategories", "Images"
IMAGENET, PLACES = "imagenet2012", "places365_small"
LOW = "conv1-conv2"


class Row(NamedTuple):
    """What the paper says of a row."""

    number: str
    target: str
    bank: str | None = LOW  # layers of AlexNet, or gabor; None: no neighbors
    k0: int | None = None
    mode: str = "selective"
    sources: tuple[str, ...] = (IMAGENET,)
    growth: tuple[int, int] = (4, 2)
    trunk: str = "ImageNet"  # or scratch, or half: ResNet-50 of half the width
    per_class: int | None = None


def plain(number, target, **given):
    return Row(number, target, bank=None, mode="none", sources=(), **given)


def _ablation(target, k0, scratch_plain, scratch, tuned, every, random, fixed, gabor, full):
    return {
        "scratch-target-only": plain(scratch_plain, target, trunk="scratch"),
        "scratch-selective": Row(scratch, target, k0=k0, trunk="scratch"),
        "fine-tuning": plain(tuned, target),
        "all": Row(every, target, bank=None, mode="all"),
        "random": Row(random, target, k0=k0, mode="random"),
        "no-expansion": Row(fixed, target, k0=k0, growth=(0, 0)),
        "gabor": Row(gabor, target, bank="gabor", k0=k0),
        "selective": Row(full, target, k0=k0),
    }


TABLES = {
    "table1": {
        "alexnet-conv1-conv2": Row("89.59", FLOWERS, LOW, 300, trunk="half"),
        "alexnet-conv1-conv5": Row("88.82", FLOWERS, "conv1-conv5", 300, trunk="half"),
        "alexnet-conv4-conv5": Row("88.48", FLOWERS, "conv4-conv5", 300, trunk="half"),
        "gabor": Row("88.90", FLOWERS, "gabor", 300, trunk="half"),
        "fine-tuning": plain("88.12", FLOWERS, trunk="half"),
    },
    "table2": _ablation(DOGS, 100, "53.8", "83.4", "80.4", "85.6", "85.5", "88.3", "87.5", "90.2"),
    "table3": {
        **_ablation(FLOWERS, 300, "58.2", "80.6", "92.3", "93.4", "93.2", "94.2", "93.8", "94.7"),
        "with-validation": Row("97.0", FLOWERS, k0=300),
    },
    "table4": {
        "fine-tuning-15": plain("76.4 +- 0.1", CALTECH, per_class=15),
        "fine-tuning-30": plain("81.2 +- 0.2", CALTECH, per_class=30),
        "fine-tuning-45": plain("83.5 +- 0.2", CALTECH, per_class=45),
        "fine-tuning-60": plain("86.4 +- 0.3", CALTECH, per_class=60),
        "selective-15": Row("80.5 +- 0.3", CALTECH, k0=100, per_class=15),
        "selective-30": Row("83.8 +- 0.5", CALTECH, k0=100, per_class=30),
        "selective-45": Row("87.0 +- 0.1", CALTECH, k0=50, per_class=45),
        "selective-60": Row("89.1 +- 0.2", CALTECH, k0=50, per_class=60),
    },
    "table5": {
        "fine-tuning": plain("81.7", INDOOR),
        "imagenet": Row("82.8", INDOOR, k0=100),
        "places": Row("85.8", INDOOR, k0=100, sources=(PLACES,)),
        "hybrid": Row("85.5", INDOOR, k0=100, sources=(IMAGENET, PLACES)),
    },
}
ROWS = {f"{table}/{name}": row for table, rows in TABLES.items() for name, row in rows.items()}
TRUNK = "table1/trunk"
# the paper's settings; where it is silent, the authors' code's
SOLVER = {
    "losses": "authors", "batch_size": 20, "iter_size": 10, "learning_rate": 0.01, "momentum": 0.9,
    "weight_decay": 1e-4, "steps_per_round": 16_000, "schedule": "step", "restart": True, "source_loss_weight": 1,
    "target_sampling": "uniform", "max_per_class": None, "decay_bn": True, "decay_head_biases": False,
    "trunk_learning_rate": 1, "probe_steps": 0, "head_bias_learning_rate": 2, "precision": "float32",
}  # fmt: skip
BACKBONES = {
    "ImageNet": ("resnet152v2", 1, "imagenet"), "scratch": ("resnet152v2", 1, None),
    "half": ("resnet50v2", 0.5, f"runs/paper/{TRUNK}/checkpoints/round-0.weights.h5"),
}  # fmt: skip
CHANNELS = {LOW: 96 + 256, "conv1-conv5": 1376, "conv4-conv5": 384 + 256, "gabor": 48}

every_row = pytest.mark.parametrize("name", ROWS)


def _path(name):
    return ROOT / "configs/paper" / f"{name}.yaml"


def _read(name):
    return load_experiment(_path(name))


def _parts(domain):
    return () if domain is None else domain.union or (domain,)


def _collections(domain):
    """What a domain's images are called on disk, of a union each."""
    return tuple(part.tfds or pathlib.Path(part.folder).name for part in _parts(domain))


def test_every_config_is_a_row_of_a_table_or_the_trunk_of_one():
    found = {str(path.relative_to(ROOT / "configs/paper").with_suffix("")) for path in _path("").parent.rglob("*.yaml")}
    assert found == {*ROWS, TRUNK}


@every_row
def test_a_row_is_what_defines_it(name):
    row, e = ROWS[name], _read(name)
    assert e.name == f"paper-{name.replace('/', '-')}" and e.image_size == 224
    assert _collections(e.target) == _collections(e.test) == (row.target,)
    assert _collections(e.source) == row.sources and all(part.split == "train" for part in _parts(e.source))
    assert (e.selection.mode, e.selection.rounds, e.selection.k) == (row.mode, 5, "entropy")
    assert (e.model.backbone, e.model.width, e.model.weights) == BACKBONES[row.trunk]
    if row.bank is not None:
        found = e.descriptor.bank if row.bank == "gabor" else e.descriptor.layers
        assert (found, e.descriptor.n_bins) == (row.bank, 32 if row.bank == "gabor" else 100)
        assert (e.selection.k0, e.selection.sigma0, e.selection.sigma1) == (row.k0, *row.growth)
        assert e.selection.delta == 0.1 and e.selection.level_cap is None
        assert e.retrieval.max_k is None  # as deep as five rounds can reach


@every_row
def test_a_row_is_trained_as_the_paper_says(name):
    e = _read(name)
    training = e.training.model_dump()
    assert {key: training[key] for key in SOLVER} == SOLVER
    assert 2400 <= training["lr_step"] <= 5000
    assert (e.model.bn, e.model.bn_momentum) == ("mixed", 0.999)
    assert (e.augmentation.geometry, e.augmentation.pca_noise) == ("scale", 0.1)
    assert e.evaluation.view == "multiscale"
    assert target_images(e) == 5 * 16_000 * 100  # in every row


@every_row
def test_a_row_is_tested_on_images_that_it_is_not_trained_on(name):
    row, e = ROWS[name], _read(name)
    if row.target == CALTECH:
        assert (e.target.per_class, e.test.skip_per_class) == (row.per_class, row.per_class)
        assert e.target.seed == e.test.seed is not None and e.target.folder == e.test.folder
    elif row.target == INDOOR:
        assert [pathlib.Path(part.listed).name for part in (e.target, e.test)] == ["TrainImages.txt", "TestImages.txt"]
    else:
        assert e.target.split == ("train+validation" if name.endswith("with-validation") else "train")
        assert e.test.split == "test"
    assert e.validation is None or (row.target == FLOWERS and e.validation.split == "validation" != e.target.split)
    if row.target == DOGS and e.source is not None:  # whose images are ImageNet's
        assert "test" in e.source.without


def test_the_trunk_of_table_1_is_the_one_that_its_rows_begin_with():
    trunk, row = _read(TRUNK), _read("table1/gabor")
    assert (trunk.model.backbone, trunk.model.width) == (row.model.backbone, row.model.width)
    assert (trunk.selection.mode, trunk.selection.rounds, trunk.model.weights) == ("none", 1, None)


@pytest.mark.parametrize("name", [*ROWS, TRUNK])
def test_head_and_page_have_the_command_and_the_number(name):
    head = re.match(r"(#.*\n)+", _path(name).read_text())[0]
    command = f"sjft-tf run configs/paper/{name}.yaml --out runs/paper/{name}"
    assert f"#   {command}\n" in head
    assert f"\n{command}\n" in PAGE
    if name in ROWS:
        table, number = name.split("/")[0], ROWS[name].number
        assert f"Table {table[-1]} of" in head and f": {number} % " in head
        (line,) = [line for line in PAGE.splitlines() if f"](../configs/paper/{name}.yaml)" in line]
        assert f"| {number}" in line


def test_the_commands_of_the_page_run_every_config_and_fuse_what_was_run():
    lines = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    fusions = [
        re.fullmatch(r"sjft-tf fuse (.+) --out (\S+)", line) for line in lines if line.startswith("sjft-tf fuse")
    ]
    assert len(lines) - len(fusions) == len(set(lines)) - len(fusions) == len(ROWS) + 1
    fused = [fusion[1].split() for fusion in fusions]
    assert {run for runs in fused for run in runs} <= {f"runs/paper/{name}" for name in ROWS}
    # the mean of the rounds on Dogs and Flowers, of the nets with Places and with both on MIT Indoor 67
    for runs in (["table2/selective"], ["table3/selective"], ["table5/places", "table5/hybrid"]):
        assert [f"runs/paper/{run}" for run in runs] in fused


def test_a_row_of_gabor_filters_or_without_neighbors_needs_no_network_of_others():
    for name, row in ROWS.items():
        needs = row.bank not in (None, "gabor")
        assert (_read(name).descriptor.weights == "weights/bvlc_alexnet.caffemodel") == needs
        assert ("bvlc_alexnet" in _path(name).read_text()) == needs


@pytest.fixture(scope="module")
def alexnet(tmp_path_factory):
    """A file of random filters of AlexNet's form."""
    rng, shapes = np.random.default_rng(0), KERNEL_SHAPES["caffe"]
    kernels = {n: (rng.standard_normal(s) / np.sqrt(np.prod(s[:3]))).astype(np.float32) for n, s in shapes.items()}
    path = tmp_path_factory.mktemp("weights") / "alexnet.npz"
    save_alexnet_weights(path, AlexNetWeights("caffe", kernels, {n: k[0, 0, 0] for n, k in kernels.items()}))
    return str(path)


@pytest.fixture(scope="module")
def lists(tmp_path_factory, image_folders):
    """Files that name the first image of each class of the target for the test, and the others for training."""
    root, folder = tmp_path_factory.mktemp("lists"), image_folders["target"]
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.jpg"))
    parts = {"test": names[::4], "target": [name for i, name in enumerate(names) if i % 4]}
    for role, part in parts.items():
        (root / role).write_text("\n".join(part))
    return {role: str(root / role) for role in parts}


@pytest.fixture(scope="module")
def miniature(image_folders, alexnet, lists):
    """Makes an experiment small; what defines an arm stays."""

    def domain(config, role):
        if config is None:
            return None
        if config.union:
            return DomainConfig(union=tuple(domain(part, role) for part in config.union))
        own = config.tfds is not None  # else target and test are images of one folder
        given = {"tfds": None, "split": None, "folder": str(image_folders[role if own else "target"])}
        given |= {key: 2 for key in ("per_class", "skip_per_class") if getattr(config, key)}
        return config.replaced(**given, **({"listed": lists[role]} if config.listed else {}))

    def small(e):
        descriptor = {"bins": 4, "fine_bins": 50, "image_size": 64}
        if e.descriptor.weights:
            descriptor["weights"] = alexnet
        return e.replaced(
            name="small", image_size=32, target=domain(e.target, "target"), validation=None,
            test=domain(e.test, "test"), source=domain(e.source, "source"),
            descriptor=e.descriptor.replaced(**descriptor), selection=e.selection.replaced(k0=2),
            model=e.model.replaced(backbone="resnet10v2", width=1 / 16, stem="small", weights=None),
            training=e.training.replaced(batch_size=4, iter_size=min(e.training.iter_size, 2), steps_per_round=1),
        )  # fmt: skip

    return small


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the images are indexed; no run is finished there, so that all may use it."""
    return RunFolder(tmp_path_factory.mktemp("runs"))


@pytest.mark.parametrize("name", [name for name in TABLES["table1"] if name != "fine-tuning"])
def test_a_bank_finds_as_many_neighbors_as_five_rounds_can_reach(miniature, folder, name):
    row, e = TABLES["table1"][name], miniature(_read(f"table1/{name}"))
    workspace = Workspace(e.replaced(selection=e.selection.replaced(k0=1)), folder)
    assert len(workspace.bank.channel_names) == CHANNELS[row.bank]
    table = pipeline.run(workspace, until="search").neighbors.table
    assert table.indices.shape == (12, 17)


@every_row
def test_a_row_describes_and_searches_as_table_1_does(name):
    (twin,) = [twin for twin, row in TABLES["table1"].items() if row.bank == ROWS[name].bank]
    if ROWS[name].bank is not None:
        one, other = _read(name), _read(f"table1/{twin}")
        assert (one.descriptor, one.retrieval) == (other.descriptor, other.retrieval)


class Updated(NamedTuple):
    """What there is after the first update."""

    workspace: Workspace
    selection: Selection
    batch: tuple
    loss: float
    moved: set[str]  # the variables that it changed


def _updated(workspace):
    model, table = initial_model(workspace), None
    if workspace.has_table:
        n_target, n_source, rng = len(workspace.target), len(workspace.source), np.random.default_rng(0)
        indices = np.stack([rng.permutation(n_source)[:20] for _ in range(n_target)]).astype(np.int32)
        table = NeighborTable(indices, np.tile(np.arange(20, dtype=np.float32), (n_target, 1)))
    selection = make_selection(workspace, table)
    compile_model(workspace.experiment, model, jit_compile=False)
    batch = next(iter(round_data(workspace, model, selection)))
    before = [variable.numpy() for variable in model.trainable_variables]
    loss = float(model.train_step(batch)["loss"])
    pairs = zip(model.trainable_variables, before, strict=True)
    return Updated(workspace, selection, batch, loss, {v.path for v, old in pairs if (v.numpy() != old).any()})


@pytest.fixture(scope="module")
def update(miniature, folder):
    """Takes an update of a miniature; once for all rows that are one in small but for their bank."""
    updates = {}

    def once(name):
        e = miniature(_read(name))
        key = to_yaml(e.replaced(descriptor=DescriptorConfig(), retrieval=RetrievalConfig()))
        if key not in updates:
            updates[key] = _updated(Workspace(e, folder))
        return updates[key]

    return once


@pytest.mark.parametrize("name", [*ROWS, TRUNK])
def test_a_row_takes_an_update(update, name):
    row = ROWS.get(name, plain("", IMAGENET, trunk="scratch"))
    workspace, selection, (images, _, weights), loss, moved = update(name)
    assert np.isfinite(loss) and any("conv1" in path for path in moved)
    if row.target in (CALTECH, INDOOR):
        assert not set(workspace.target.ids) & set(workspace.test.ids)
    joint = row.mode != "none"
    assert {path.split("/")[0] for path in moved} & {"target", "source"} == set(weights)
    assert set(weights) == ({"target", "source"} if joint else {"target"})
    pairs = 4 if name in ROWS else 2  # target images: half of a batch of 4, of which two make an update
    assert weights["target"].numpy().sum() == pairs and len(images) == pairs * (2 if joint else 1)
    if joint:
        n_source = len(workspace.source)
        assert n_source == 24 * len(row.sources) and selection.mode == row.mode
        assert (selection.reachable == n_source) == (row.mode == "all")


@every_row
def test_wrong_and_uncertain_images_of_a_row_borrow_more_or_none_does(update, name):
    row, (_, selection, *_) = ROWS[name], update(name)
    if row.bank is None:
        assert selection.counts is None
        return
    state, n = selection.state(), len(selection.counts)
    assert (selection.counts == 2).all()
    selection.advance(np.ones(n), np.arange(n) % 2 == 0)  # every second is uncertain, the others are wrong
    uncertain, wrong = selection.counts[::2], selection.counts[1::2]
    selection.restore(state)
    assert (wrong == 2 + 2 * row.growth[0]).all() and (uncertain == 2 + 2 * row.growth[1]).all()


@pytest.mark.parametrize("name", ["table1/fine-tuning", "table3/scratch-target-only"])
def test_the_trunk_of_a_table_takes_an_update(miniature, folder, name):
    """Layer for layer, at a few kernels a layer."""
    e, small = _read(name), miniature(_read(name))
    model, training = e.model.replaced(width=e.model.width / 32, weights=None), small.training.replaced(iter_size=1)
    updated = _updated(Workspace(small.replaced(model=model, training=training), folder))
    blocks = {path.split("_1_conv")[0] for path in updated.moved if "_1_conv" in path}
    assert np.isfinite(updated.loss) and len(blocks) == {"resnet50v2": 16, "resnet152v2": 50}[e.model.backbone]

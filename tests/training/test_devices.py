"""Two logical CPU devices train like one, with accumulation and each domain's own statistics.

In a process of its own, because devices are set before TensorFlow starts.
"""

import pytest

# What replicas change is the order of sums, which moves each by some units in the last place (1.2e-7 of its size, over some
# thousand terms up to 1e-5). Batch normalization passes that on enlarged by 1 / deviation, and many of them in a row, over
# few values each, without bound: so here are two, over 128 values or more, and updates of 0.01 times a gradient of at most
# about 1. Weights then differ by 2 x 0.01 x 1e-5, and statistics, which are of size 1, by a few 1e-6 at most (1.2e-7 was
# seen). Statistics of each replica alone, or micro-batches put together otherwise, would move these by more than 1e-3.
PROGRAM = """
import sys
import keras, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from sjft_tf.domains import ImageFolder
from sjft_tf.errors import InputError
from sjft_tf.retrieval import NeighborTable
from sjft_tf.selection import Selection
from sjft_tf.training import NeighborExpansion, caffe_sgd, gradient_conflict, joint_dataset, joint_model

target, source = ImageFolder(sys.argv[1]), ImageFolder(sys.argv[2])
indices = np.stack([np.random.default_rng(i).permutation(len(source))[:12] for i in range(len(target))]).astype(np.int32)
table = NeighborTable(indices, np.tile(np.arange(12, dtype=np.float32), (len(target), 1)))
settings = {"batch_size": 16, "iter_size": 2, "image_size": 16, "steps": 1}

def trunk():
    image = keras.Input((16, 16, 3))
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(image)
    for i in range(2):
        x = keras.layers.Conv2D(8, 3, strides=2, name=f"conv{i}")(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.5, name=f"bn{i}")(x))
    return keras.Model(image, x, name="small")

def trained(strategy):
    keras.utils.set_random_seed(0)
    selection = Selection(table, k0=2)
    with strategy.scope():
        model = joint_model(trunk(), target_classes=3, source_classes=4, bn="per_domain", iter_size=2)
        model.compile(caffe_sgd(0.01))
    data = joint_dataset(target, source, selection, **settings)
    logs = model.fit(data, epochs=2, callbacks=[NeighborExpansion(selection, target)], verbose=0).history
    return model, selection.counts, logs["target_mean_loss"]

def refused(strategy):
    with strategy.scope():
        model = joint_model(trunk(), target_classes=3, source_classes=4)
        model.compile(caffe_sgd(0.01))
    uneven = joint_dataset(target, source, Selection(table, k0=2), batch_size=6, image_size=16, steps=1)
    try:
        model.fit(uneven, verbose=0)
    except InputError as error:
        print(error)

refused(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
one = trained(tf.distribute.get_strategy())
two = trained(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
np.testing.assert_array_equal(one[1], two[1])
np.testing.assert_allclose(one[2], two[2], rtol=1e-5)
for a, b in zip(one[0].weights, two[0].weights):
    a, b = keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b)
    np.testing.assert_allclose(a, b, atol=5e-6)
batch = next(iter(joint_dataset(target, source, Selection(table, k0=2), **settings)))
two[0].set_weights(one[0].get_weights())
np.testing.assert_allclose(gradient_conflict(one[0], batch), gradient_conflict(two[0], batch), rtol=1e-3, atol=1e-5)
print("equal")
"""


@pytest.mark.arithmetic
def test_two_replicas_equal_one_device_and_refuse_uneven_pairs(forked, image_folders):
    compared = forked(PROGRAM, image_folders["target"], image_folders["source"])
    assert compared.wait() == 0, compared.errors[-3000:]
    uneven, equal = compared.output.splitlines()[-2:]
    assert equal == "equal"
    assert "does not split into equal numbers of target and source images on 2 replicas" in uneven

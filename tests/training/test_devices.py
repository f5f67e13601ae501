"""Two logical CPU devices train like one, with accumulation and each domain's own statistics.

In a process of its own, because devices are set before TensorFlow starts.
"""

import subprocess
import sys

PROGRAM = """
import sys
import keras, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from sjft_tf.domains import ImageFolder
from sjft_tf.errors import InputError
from sjft_tf.models import joint_model
from sjft_tf.retrieval import NeighborTable
from sjft_tf.selection import Selection
from sjft_tf.training import NeighborExpansion, gradient_conflict, joint_dataset, joint_loss, joint_metrics, joint_sgd

target, source = ImageFolder(sys.argv[1]), ImageFolder(sys.argv[2])
indices = np.stack([np.random.default_rng(i).permutation(len(source))[:12] for i in range(len(target))]).astype(np.int32)
table = NeighborTable(indices, np.tile(np.arange(12, dtype=np.float32), (len(target), 1)))

def trained(strategy):
    keras.utils.set_random_seed(0)
    selection = Selection(table, k0=2)
    with strategy.scope():
        model = joint_model(
            "resnet18v2", target_classes=3, source_classes=4, image_size=16, width=1 / 16, stem="small", bn="per_domain"
        )
        model.compile(joint_sgd(0.05), joint_loss(), weighted_metrics=joint_metrics(), jit_compile=False)
    data = joint_dataset(target, source, selection, batch_size=16, iter_size=2, image_size=16, steps=1)
    logs = model.fit(data, epochs=2, callbacks=[NeighborExpansion(selection, target)], verbose=0).history
    return model, selection.counts, logs["target_cross_entropy"]

one = trained(tf.distribute.get_strategy())
two = trained(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
np.testing.assert_array_equal(one[1], two[1])
np.testing.assert_allclose(one[2], two[2], rtol=1e-4)
# Sums over replicas are added in another order than sums over rows, and statistics of few rows make that larger with
# every update; each replica's own statistics would differ by 1e-2.
for a, b in zip(one[0].get_weights(), two[0].get_weights()):
    np.testing.assert_allclose(a, b, atol=2e-5)
batch = next(iter(joint_dataset(target, source, Selection(table, k0=2), batch_size=8, image_size=16, steps=1)))
two[0].set_weights(one[0].get_weights())
np.testing.assert_allclose(gradient_conflict(one[0], batch), gradient_conflict(two[0], batch), rtol=1e-3, atol=1e-5)
print("equal")

uneven = joint_dataset(target, source, Selection(table, k0=2), batch_size=6, image_size=16, steps=1)
try:
    two[0].fit(uneven, verbose=0)
except InputError as error:
    print(error)
"""


def test_two_replicas_equal_one_device_and_refuse_uneven_pairs(image_folders):
    command = [sys.executable, "-c", PROGRAM, str(image_folders["target"]), str(image_folders["source"])]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-3000:]
    equal, uneven = result.stdout.splitlines()[-2:]
    assert equal == "equal"
    assert "does not split into equal numbers of target and source images on 2 replicas" in uneven

import numpy as np
import pytest

from sjft_tf.domains import image_batches, read_encoded
from sjft_tf.images import center_view, decode


class InMemory:
    """Encoded images in a list; counts how many are asked for at once."""

    def __init__(self, files):
        self.files, self.asked = files, []

    def __len__(self):
        return len(self.files)

    def encoded(self, indices):
        self.asked.append(len(indices))
        return [self.files[index] for index in indices]


@pytest.fixture
def domain(picture, encode):
    sizes = [(9 + number, 20 - number) for number in range(11)]
    return InMemory([encode(picture.rotate(7 * number).resize(size), "PNG") for number, size in enumerate(sizes)])


def view(image):
    return center_view(image, 8)


def test_batches_hold_the_views_of_all_images_in_order_and_again(domain):
    expected = np.stack([view(decode(file)) for file in domain.files])
    batches = image_batches(domain, view, batch_size=4)
    for _ in range(2):
        arrays = [batch.numpy() for batch in batches]
        assert [len(array) for array in arrays] == [4, 4, 3]
        np.testing.assert_array_equal(np.concatenate(arrays), expected)


def test_images_are_read_a_batch_at_a_time(domain):
    list(image_batches(domain, view, batch_size=4))
    assert sorted(domain.asked) == [3, 4, 4]  # TensorFlow may read batches side by side


def test_indices_choose_order_and_repeat(domain):
    chosen = np.array([10, 0, 0, 7, 3])
    (batch,) = image_batches(domain, view, batch_size=8, indices=chosen)
    np.testing.assert_array_equal(batch, np.stack([view(decode(domain.files[index])) for index in chosen]))


def test_no_index_gives_no_batch(domain):
    assert not list(image_batches(domain, view, batch_size=8, indices=np.array([], np.int64)))


def test_encoded_bytes_come_through_whole(domain):
    domain.files[1] = b"\0\xff\0"
    assert read_encoded(domain, [1, 0]).numpy().tolist() == [b"\0\xff\0", domain.files[0]]

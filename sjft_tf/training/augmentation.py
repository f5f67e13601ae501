"""What training sees of an image: a random crop, mirrored half the time, decided by a seed alone."""

import tensorflow as tf

from sjft_tf.domains import enlarged, resize_short_side


def augment(image: tf.Tensor, image_size: int, seed: tf.Tensor) -> tf.Tensor:
    """A random square of the image, of the size that the center view cuts from the middle.

    Args:
        image: `[h, w, 3]` uint8.
        image_size: side of the square in pixels.
        seed: `[2]` int32; equal seeds give equal crops.

    Returns:
        `[image_size, image_size, 3]` float32 in 0..255.
    """
    image = resize_short_side(image, enlarged(image_size))
    image = tf.image.stateless_random_crop(image, (image_size, image_size, 3), seed)
    return tf.image.stateless_random_flip_left_right(image, seed + 1)

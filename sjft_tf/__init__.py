"""Selective Joint Fine-tuning for TensorFlow and Keras: few target images, helped by source images that resemble them.

The public API is what `__init__.pyi` imports: names that a script needs, and the rooms that hold the rest, such as
`sjft_tf.retrieval.search_exact`. Each is loaded when it is first used, so that importing the package costs nothing.
"""

import lazy_loader

from sjft_tf import arithmetic as _arithmetic  # noqa: F401, first of all: it decides how TensorFlow computes

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""`python -m sjft_tf.cli` is `sjft-tf`."""

from sjft_tf.cli import main

main()

"""What happens around the steps of a training: the same objects in `model.fit` and behind `sjft-tf run`."""

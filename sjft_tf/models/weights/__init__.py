"""Every format of weight file, read without running anything that is in it."""

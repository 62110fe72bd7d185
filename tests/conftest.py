"""Chooses Keras 2 for `tf.keras`, as `tfrec.training` does, before any test loads TensorFlow.

tensorflow_text loads `tf.keras` when it is imported; after that tensorflow_recommenders can't be.
"""

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

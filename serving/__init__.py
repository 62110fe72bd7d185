"""Answering requests: an embedded TensorFlow Serving for development, and clients for both."""

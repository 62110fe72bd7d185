"""Production multimodal recommendation on TensorFlow, from raw files to a gRPC answer."""

__all__ = ["__version__"]

__version__ = "0.1.0"

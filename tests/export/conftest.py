"""What pytest leaves alone here."""

# A program for an environment with ONNX in it.
collect_ignore = ["onnx_answers.py"]

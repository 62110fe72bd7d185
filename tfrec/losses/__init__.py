"""Objectives of retrieval, and the corrections that make samples stand for the catalogue."""

from tfrec.losses.full_softmax import full_softmax
from tfrec.losses.in_batch import in_batch_softmax
from tfrec.losses.pairwise import bce_loss, bpr_loss
from tfrec.losses.product_logsumexp import product_logsumexp
from tfrec.losses.streaming_frequency import StreamingFrequency
from tfrec.losses.weighted import weighted_mean

__all__ = [
    "StreamingFrequency",
    "bce_loss",
    "bpr_loss",
    "full_softmax",
    "in_batch_softmax",
    "product_logsumexp",
    "weighted_mean",
]

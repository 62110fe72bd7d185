"""Exact ranking of the whole catalogue, metrics, intervals and reports."""

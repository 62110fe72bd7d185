"""The event log: its schema, its readers, and the join of feedback to impressions."""

from tfrec.online.events.schema import EVENTS, InvalidEventError, parse_event

__all__ = ["EVENTS", "InvalidEventError", "parse_event"]

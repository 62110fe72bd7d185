"""Interleaving: two rankers in one list, and which of them the clicks prefer."""

from tfrec.online.interleaving.credit import Preference, balanced_credit, sign_test, team_credit
from tfrec.online.interleaving.drafting import Interleaved, balanced, team_draft

__all__ = [
    "Interleaved",
    "Preference",
    "balanced",
    "balanced_credit",
    "sign_test",
    "team_credit",
    "team_draft",
]

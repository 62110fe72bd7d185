"""Rules that prove, from files alone, that nothing of the future reached training."""

from tfrec.evaluation.audit.audited import Audited
from tfrec.evaluation.audit.auditing import audit
from tfrec.evaluation.audit.finding import Finding

__all__ = ["Audited", "Finding", "audit"]

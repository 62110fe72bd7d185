"""Look at prepared data: distributions, missing values, samples, anomalies, skew and drift."""

from tfrec.inspection.anomalies import Anomaly, find_anomalies
from tfrec.inspection.distances import jensen_shannon, l_infinity
from tfrec.inspection.page import inspection_page
from tfrec.inspection.profile import Distribution, Profile, profile_data

__all__ = [
    "Anomaly",
    "Distribution",
    "Profile",
    "find_anomalies",
    "inspection_page",
    "jensen_shannon",
    "l_infinity",
    "profile_data",
]

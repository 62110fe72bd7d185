"""A simulated service whose true online effects are known."""

from tfrec.online.simulation.logs import write_logs
from tfrec.online.simulation.service import OnlineService, Pages
from tfrec.online.simulation.sums import simulate_users, user_sums

__all__ = ["OnlineService", "Pages", "simulate_users", "user_sums", "write_logs"]

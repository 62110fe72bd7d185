"""Online evaluation: off-policy estimates, experiments, interleaving, from event logs."""

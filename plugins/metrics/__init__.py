"""Set metrics that several tasks share."""

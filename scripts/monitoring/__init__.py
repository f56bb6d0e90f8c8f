"""What scripts/check-monitoring is made of: a stack of real processes, a known load, the queries, and what they must answer."""

"""What scripts/check-docs is made of."""

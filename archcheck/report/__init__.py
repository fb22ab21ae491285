"""Results as text: mismatches, verifications, the tables that a run ends with."""

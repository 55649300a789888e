"""What the public reads: when an incident opens, changes and ends, and what its events fold into."""

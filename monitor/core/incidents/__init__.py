"""What the public reads: an append-only history of events, and what it folds into."""

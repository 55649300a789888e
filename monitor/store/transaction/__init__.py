"""The store of judgement over one database transaction."""

"""A connection to the database: the one engine factory, whose store it is, and how long an answer may take."""

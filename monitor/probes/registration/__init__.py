"""The kind ``registration``: read what a public source says of signing up."""

"""Names: the machine's own resolver, and questions to name servers."""

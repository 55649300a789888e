"""The kind ``upstream``: read the vendor's own status page, as a witness."""

"""HTTP/1.1 and HTTP/2 with a time per phase, under httpx's types."""

"""Starts real servers on loopback and keeps what they answer, byte for byte."""

"""The nouns and the closed enums that every room shares, a file per subject.

Nothing here does anything. What an enum member means is written beside it; what follows from it lives in the
rule modules. Members are stored by ``code`` (raw results) or by value (all else): never renumber or rename one.
"""

"""The prober's process, apart from the recorder's (D2): it looks, on the grid; nothing in it may delay a look."""

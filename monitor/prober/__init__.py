"""The prober's process: it looks, on the grid, and holds nothing that could delay a look."""

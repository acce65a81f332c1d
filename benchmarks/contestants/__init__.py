"""Hold what is compared: one module each, run as a process of its own, in an environment of its own where it needs one.

Nothing here is imported by the harness, so a module may import what only its own environment has.
"""

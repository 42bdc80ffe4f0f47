"""Policies: who decides where to split and when to ship.

`registry` is the table of contents; `base` is the contract; one file per family.
"""

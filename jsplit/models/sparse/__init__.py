"""Predefined sparsity: which weights exist (`patterns`), how they are stored and used.

`layers` has the Flax modules, `storage` what they weigh and cost.
"""

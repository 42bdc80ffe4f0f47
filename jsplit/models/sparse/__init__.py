"""Layers with predefined sparsity: which weights exist is fixed before training.

`patterns` has `Pattern`, what a user asks for, and draws the weights that exist.
`layers` has the Flax modules that store and compute only these. `storage` counts the
bytes of a network's two halves. `networks.sparse_mlp` is a network made of them.
"""

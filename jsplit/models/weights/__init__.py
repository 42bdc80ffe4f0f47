"""Weights that others have trained, read into networks of `models.networks`.

Start with `load.load_weights`, which picks the loader of a network. `tensors` reads
files and fills arrays. `bert` and `mobilenet` say which tensor is which array; a
network whose weights are published gets a file like these and a line in `load`.
"""

"""Published weights into our networks.

Here: `tensors` (files), one file per family, and `load`, which picks the family.
"""

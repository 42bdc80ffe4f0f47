"""The networks, one file each; `models.registry` gives them their names.

All are a `models.multi_exit.MultiExit`: a list of blocks and a head behind each block.
`cnn` is the shortest example. `layers` has what several image networks share.
"""

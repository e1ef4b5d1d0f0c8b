"""Labelled images from wherever they are, as arrays: digits, MNIST, IDX files, folders of images, .npz, .csv.

Knows nothing of splits to be made, of models or of servers.
"""

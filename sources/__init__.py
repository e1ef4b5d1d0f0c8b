"""Labelled images from any supported source, as arrays: digits, MNIST, IDX files, folders of images, .npz, .csv.

Makes no splits, and knows neither models nor servers.
"""

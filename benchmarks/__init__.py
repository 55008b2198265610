"""Benchmarks: kutti_sdk beside a raw baseline, in the same run on the same machine.

``python -m benchmarks`` runs all and prints a table of ratios. Times are of
this machine and of little worth elsewhere; ratios travel better.
"""

"""Starting, resizing and ending a cluster's processes; which clusters run.

Public: Cluster in cluster.py, clusters() in running.py.
"""

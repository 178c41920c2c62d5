"""What runs in the cluster, pickled into Ray. It never imports Flask."""

"""Distribution on Ray: a pool of workers, its task dispatch, and the connection to a cluster."""

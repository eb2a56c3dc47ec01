"""A program: a Ray cluster of a few nodes on this machine, until its standard input ends.

Usage: ``python ray_cluster.py NODES [DASHBOARD_PORT CLIENT_PORT]``, in a directory and with an environment from
which evoprune's source tree cannot be seen. Prints the cluster's address.
"""

import sys

from ray.cluster_utils import Cluster


def main() -> None:
    nodes, *ports = map(int, sys.argv[1:])
    small = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": 100_000_000}
    # Another cluster on this machine may have the usual port; then no job could be submitted to this one.
    head = small | {"dashboard_agent_listen_port": 0}
    if ports:
        dashboard, client = ports
        head |= {
            "include_dashboard": True,
            "dashboard_host": "127.0.0.1",
            "dashboard_port": dashboard,
            "ray_client_server_port": client,
        }
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(nodes - 1):
            cluster.add_node(**small)
        cluster.wait_for_nodes()
        print(cluster.address, flush=True)
        sys.stdin.read()
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()

"""What the system tells of this process."""


def mappings():
    """Memory mappings of this process; 0 where the system does not tell."""
    try:
        with open("/proc/self/maps") as lines:
            return sum(1 for _ in lines)
    except OSError:
        return 0

"""How fast a network and its pruned form are on this device: the ``bench`` command."""

"""How good the masks are that methods find at equal budget: the protocol of docs/search-quality.md.

Command: ``python -m experiments.quality OUT_DIR --model MODEL_DIR --data cifar10``. Hours for a VGG-16 on 2
cores, for each cell is a search of ``--evaluations`` masks on ``--images`` images. It can be stopped at any time
and goes on with the same command; ``--quick`` runs the same code on digits in a minute.
"""

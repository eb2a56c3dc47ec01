"""How good the masks are that methods find at equal budget: the protocol of docs/operators.md.

Command: ``python -m experiments.studies.quality OUT_DIR --model MODEL_DIR --data cifar10``. The protocol takes
hours for a VGG-16 on 2 cores, because each cell is a search of ``--evaluations`` masks on ``--images`` images.
The study can be stopped at any time; the same command continues it. ``--quick`` runs the same code on digits in
a minute.
"""

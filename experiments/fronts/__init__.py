"""One search for a front against a search for each threshold, at equal total budget: see docs/search-fronts.md.

Command: ``python -m experiments.fronts OUT_DIR --model MODEL_DIR --data cifar10``. A seed takes ``--evaluations``
masks for each threshold, and as many in all for the front. It can be stopped at any time and goes on with the
same command; ``--quick`` runs the same code on digits in a minute.
"""

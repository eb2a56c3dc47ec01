"""One search for a front against one search for each threshold, at equal total budget (docs/search-fronts.md).

Command: ``python -m experiments.studies.fronts OUT_DIR --model MODEL_DIR --data cifar10``. A seed costs
``--evaluations`` masks for each threshold, and as many in all for the front. The study can be stopped at any
time; the same command continues it. ``--quick`` runs the same code on digits in a minute.
"""

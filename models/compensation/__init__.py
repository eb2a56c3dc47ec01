"""Compensation without retraining: adjusts the remaining weights in closed form to approximate removed filters.

The second moments of the inputs of each layer are gathered once, from images of the training split and the
original network (:mod:`models.compensation.moments`). For a mask, each removed channel is approximated by a
linear function of the kept channels (:mod:`models.compensation.coefficients`), and this function is folded into
the weights that read the channel (:mod:`models.compensation.folding`). The statistics of batch norms can be
measured anew behind the changed weights (:mod:`models.compensation.recalibration`). No gradient is taken and
nothing is trained.
"""

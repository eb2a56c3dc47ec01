"""Compensation without retraining: kept channels take over what removed ones told the layers behind them.

Once, from images of the training split and the original network, the second moments of what each layer reads
(:mod:`models.compensation.moments`). For a mask, each removed channel as a linear function of the kept ones
(:mod:`models.compensation.coefficients`), and that function folded into the weights which read the channel
(:mod:`models.compensation.folding`). No gradient is taken and nothing is trained.
"""

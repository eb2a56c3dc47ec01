"""The links of a network: convolutions, dense layers and residual blocks that can lose channels."""

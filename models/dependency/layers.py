"""The layers of Flax that state their own shapes, and how they do."""

from flax import nnx


def fit_attributes(module: nnx.Module) -> None:
    """Make the numbers that layers within ``module`` keep of themselves fit the arrays they hold by now."""
    for _, layer in nnx.iter_modules(module):
        if isinstance(layer, nnx.Conv):
            layer.kernel_shape = tuple(layer.kernel.get_value().shape)
            # A kernel reads the channels of one group; groups that are gone took theirs along.
            each, filters = layer.kernel_shape[-2:]
            if layer.feature_group_count > 1:
                layer.feature_group_count = layer.feature_group_count * filters // layer.out_features
            layer.in_features = each * layer.feature_group_count
            layer.out_features = filters
        elif isinstance(layer, nnx.Linear):
            layer.in_features, layer.out_features = layer.kernel.get_value().shape
        elif isinstance(layer, nnx.BatchNorm):
            layer.num_features = layer.mean.get_value().shape[0]

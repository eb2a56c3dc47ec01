"""The networks by their definitions, in NumPy and float64: an oracle that shares nothing with ours but arrays."""

import numpy as np

from models.arrays import arrays_of


def convolved(images, kernel, bias, stride=1, padding=((0, 0), (0, 0))):
    """NHWC by HWIO, by summing over the taps."""
    padded = np.pad(images, ((0, 0), *padding, (0, 0)))
    rows, columns = kernel.shape[:2]
    height = (padded.shape[1] - rows) // stride + 1
    width = (padded.shape[2] - columns) // stride + 1
    outputs = np.zeros((len(images), height, width, kernel.shape[3])) + bias
    for row in range(rows):
        for column in range(columns):
            lines = slice(row, row + (height - 1) * stride + 1, stride)
            places = slice(column, column + (width - 1) * stride + 1, stride)
            outputs += padded[:, lines, places] @ kernel[row, column].astype(np.float64)
    return outputs


def normed(arrays, layer, images, stride=1, padding=((0, 0), (0, 0)), epsilon=1e-5):
    """Convolution and batch norm with its running statistics."""
    parts = {part: arrays[f"{layer}.norm.{part}"] for part in ("mean", "var", "scale", "bias")}
    outputs = convolved(images, *kernel_and_bias(arrays, layer), stride, padding)
    return (outputs - parts["mean"]) / np.sqrt(parts["var"] + epsilon) * parts["scale"] + parts["bias"]


def kernel_and_bias(arrays, layer):
    return arrays[f"{layer}.convolution.kernel"], arrays[f"{layer}.convolution.bias"]


def dense(arrays, layer, inputs):
    return inputs.reshape(len(inputs), -1) @ arrays[f"{layer}.dense.kernel"] + arrays[f"{layer}.dense.bias"]


def pooled(images, reduce):
    """2x2 with stride 2, without an odd edge."""
    height, width = images.shape[1] // 2 * 2, images.shape[2] // 2 * 2
    cut = images[:, :height, :width]
    return reduce([cut[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], axis=0)


def relu(values):
    return np.maximum(values, 0)


def lenet(arrays, images):
    for layer in ("conv1", "conv2"):
        images = pooled(np.tanh(convolved(images, *kernel_and_bias(arrays, layer))), np.mean)
    for layer in ("fc1", "fc2"):
        images = np.tanh(dense(arrays, layer, images))
    return dense(arrays, "logits", images)


def lenet_sigmoid(arrays, images):
    return 1 / (1 + np.exp(-lenet(arrays, images)))


def convnet(arrays, images):
    for layer in ("conv1", "conv2"):
        images = pooled(relu(convolved(images, *kernel_and_bias(arrays, layer))), np.max)
    for layer in ("fc1", "fc2"):
        images = relu(dense(arrays, layer, images))
    return dense(arrays, "logits", images)


def mlp(arrays, images):
    for layer in ("fc1", "fc2", "fc3", "fc4"):
        images = relu(dense(arrays, layer, images))
    return dense(arrays, "logits", images)


def fashion_cnn(arrays, images):
    for layer in ("conv1", "conv2"):
        behind = convolved(images, *kernel_and_bias(arrays, layer), padding=((0, 1), (0, 1)))
        images = pooled(relu(behind), np.max)
    return dense(arrays, "logits", relu(dense(arrays, "fc1", images)))


AROUND = ((1, 1), (1, 1))


def layer(arrays, name, images, stride=1, padding=AROUND, epsilon=1e-5):
    """A convolution and the batch norm behind it, if there is one."""
    if f"{name}.norm.mean" in arrays:
        return normed(arrays, name, images, stride, padding, epsilon)
    return convolved(images, *kernel_and_bias(arrays, name), stride, padding)


def vgg(architecture, arrays, images):
    closing = {"max": np.max, "average": np.mean, "none": None}[architecture.last_pool]
    for b, block in enumerate(architecture.blocks, 1):
        for c in range(1, len(block) + 1):
            images = relu(layer(arrays, f"conv{b}_{c}", images, epsilon=architecture.epsilon))
        pool = closing if b == len(architecture.blocks) else np.max
        images = images if pool is None else pooled(images, pool)
    images = images.mean((1, 2)) if architecture.averaged else images
    for i in range(1, len(architecture.hidden) + 1):
        images = relu(dense(arrays, f"fc{i}", images))
    return dense(arrays, "logits", images)


def resnet(architecture, arrays, images):
    """Shortcuts without weights multiply by their zeros and ones; :func:`resnet_copied` has them by definition."""
    epsilon, around = architecture.epsilon, architecture.stem_kernel // 2
    stem = ((around, around), (around, around))
    carry = relu(layer(arrays, "stage1", images, architecture.stem_stride, stem, epsilon))
    carry = pooled_3x3(carry) if architecture.stem_pool else carry
    for s, units in enumerate(architecture.inner, 1):
        for u in range(1, len(units) + 1):
            name, stride = f"unit{s}_{u}", 2 if s > 1 and u == 1 else 1
            hidden = relu(layer(arrays, f"{name}.first", carry, stride, AROUND, epsilon))
            if f"{name}.shortcut.selection" in arrays:
                carry = carry[:, ::stride, ::stride] @ arrays[f"{name}.shortcut.selection"][0, 0]
            elif f"{name}.shortcut.convolution.kernel" in arrays:
                carry = layer(arrays, f"{name}.shortcut", carry, stride, ((0, 0), (0, 0)), epsilon)
            carry = relu(layer(arrays, f"{name}.second", hidden, 1, AROUND, epsilon) + carry)
    return dense(arrays, "logits", carry.mean((1, 2)))


def pooled_3x3(carry):
    """Maxima of stride 2, with an edge of one."""
    padded = np.pad(carry, ((0, 0), *AROUND, (0, 0)), constant_values=-np.inf)
    height, width = ((extent + 1) // 2 for extent in carry.shape[1:3])
    rows = [
        np.stack([padded[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max((1, 2)) for j in range(width)], 1)
        for i in range(height)
    ]
    return np.stack(rows, 1)


def resnet_copied(arrays, images):
    """Shortcuts without weights: every other row and column, and zeros on both sides of the channels."""
    around, epsilon = ((1, 1), (1, 1)), 0.3
    carry = relu(normed(arrays, "stage1", images, 1, around, epsilon))
    for stage, zeros in ((1, None), (2, (1, 1)), (3, (2, 2))):
        name = f"unit{stage}_1"
        hidden = relu(normed(arrays, f"{name}.first", carry, 2 if zeros else 1, around, epsilon))
        if zeros:
            carry = np.pad(carry[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), zeros))
        carry = relu(normed(arrays, f"{name}.second", hidden, 1, around, epsilon) + carry)
    return dense(arrays, "logits", carry.mean((1, 2)))


FORWARDS = {
    "lenet5": lenet,
    "lenet5-sigmoid": lenet_sigmoid,
    "convnet": convnet,
    "mlp": mlp,
    "fashion_cnn": fashion_cnn,
}


def defined(network, images, normalisation=None):
    """Logits ``float64[b, classes]`` of any network of ours, pruned or whole, by its definition.

    ``images`` are normalised already, or ``uint8`` with their ``normalisation``.
    """
    if normalisation is not None:
        images = (images / 255 - np.array(normalisation.mean)) / np.array(normalisation.std)
    architecture, arrays = network.architecture, arrays_of(network)
    if architecture.family in FAMILIES:
        return FAMILIES[architecture.family](architecture, arrays, images)
    return FORWARDS[architecture.name](arrays, images)


FAMILIES = {"vgg": vgg, "resnet": resnet}

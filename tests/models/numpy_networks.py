"""The networks by their definitions, in NumPy and float64: an oracle that shares nothing with ours but arrays."""

import numpy as np


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


def normed(arrays, layer, images, stride=1, padding=((0, 0), (0, 0))):
    """Convolution and batch norm with its running statistics."""
    parts = {part: arrays[f"{layer}.norm.{part}"] for part in ("mean", "var", "scale", "bias")}
    outputs = convolved(images, *kernel_and_bias(arrays, layer), stride, padding)
    return (outputs - parts["mean"]) / np.sqrt(parts["var"] + 1e-5) * parts["scale"] + parts["bias"]


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


def resnet20(arrays, images):
    around = ((1, 1), (1, 1))
    carry = relu(normed(arrays, "stage1", images, padding=around))
    for stage in (1, 2, 3):
        for unit in (1, 2, 3):
            name, first = f"unit{stage}_{unit}", stage > 1 and unit == 1
            hidden = relu(normed(arrays, f"{name}.first", carry, 2 if first else 1, around))
            outputs = normed(arrays, f"{name}.second", hidden, padding=around)
            carry = relu(outputs + (normed(arrays, f"{name}.shortcut", carry, 2) if first else carry))
    return dense(arrays, "logits", carry.mean((1, 2)))


FORWARDS = {
    "resnet20": resnet20,
    "lenet5": lenet,
    "lenet5-sigmoid": lenet_sigmoid,
    "convnet": convnet,
    "mlp": mlp,
    "fashion_cnn": fashion_cnn,
}
"""Name of the network -> (arrays, images ``[b, height, width, channels]``) -> logits."""

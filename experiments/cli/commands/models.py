"""``evoprune models``: list the networks."""

import cloup

from experiments.cli.output import print_result
from experiments.cli.shared_options import json_option


@cloup.command(epilog="Example: evoprune models --json")
@json_option
def models(as_json: bool) -> None:
    """List the networks with their parameters, MACs, prunable convolution filters and hidden neurons.

    The figures are for 10 classes and images of the input size (height x width x channels). Networks of one
    channel see colour images in grey. VGGs and ResNets train on images of any size, the others on images resized
    to their input, unless 'evoprune train' is given another --image-size.
    """
    from experiments.measurement.description import catalogue

    result = catalogue()
    width = max(map(len, result))
    columns = f"{'parameters':>12}  {'MACs':>13}  {'filters':>7}  {'neurons':>7}"
    lines = [f"{'network':{width}}  {'input':>8}  {columns}"]
    for name, entry in result.items():
        shape = "x".join(map(str, entry["input_shape"]))
        figures = (
            f"{entry['parameters']:12,}  {entry['macs']:13,}  {entry['prunable_filters']:7,}  "
            f"{entry['prunable_neurons']:7,}"
        )
        lines.append(f"{name:{width}}  {shape:>8}  {figures}")
    print_result(result, as_json, lines)

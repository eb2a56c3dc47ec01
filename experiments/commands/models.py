"""``evoprune models``: list the networks."""

import click

from experiments.cli_options import json_option, print_result


@click.command(epilog="Example: evoprune models --json")
@json_option
def models(as_json: bool) -> None:
    """List the networks with their parameters, MACs (32x32x3) and prunable convolution filters."""
    from experiments.catalogue import catalogue

    result = catalogue()
    width = max(map(len, result))
    lines = [f"{'network':{width}}  {'parameters':>12}  {'MACs':>13}  {'filters':>7}"]
    for name, entry in result.items():
        lines.append(
            f"{name:{width}}  {entry['parameters']:12,}  {entry['macs']:13,}  {entry['prunable_filters']:7,}"
        )
    print_result(result, as_json, lines)

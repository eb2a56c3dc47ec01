"""Results as lines for people."""

from typing import Any


def accuracy_line(result: dict[str, Any]) -> str:
    """Accuracy and size of a network, from what :func:`experiments.measuring.measure` returns."""
    size = f"{result['parameters']:,} parameters, {result['macs']:,} MACs"
    if result["accuracy"] is None:
        return size
    return (
        f"{100 * result['accuracy']:.2f}% accuracy on {result['split']} "
        f"({result['correct']:,} of {result['total']:,}), {size}"
    )


def summary_lines(result: dict[str, Any]) -> list[str]:
    """Where a search stands, from what :func:`experiments.status.summary` returns."""
    from engine.pool_figures import PoolFigures
    from experiments.status import ancestry_text
    from fitness.rewards import OBJECTIVES

    state = "complete" if result["complete"] else "not complete"
    if result["out_of_patience"]:
        state += " as there was no more progress (--patience)"
    if result["best"] is None:
        begun = f"{result['evaluations']:,} masks evaluated for generation 0"
        return [f"no generation finished yet of {result['generations']}, {state}; {begun}"]
    best, noun = result["best"], OBJECTIVES[result["objective"]].noun
    lines = [
        f"generation {result['generation']} of {result['generations']}, {state}; "
        f"{result['evaluations']:,} masks evaluated, {result['failures']} failed, "
        f"{result['stopped']:,} stopped early",
        f"BEST: score {best['score']:.4f} for dropped {noun}, "
        f"{best['removed_filters']:,} of {best['filters']:,} filters removed",
        f"  accuracy drop  {best['accuracy_drop']:6.2f}% on the fitness images",
        f"  parameter drop {best['parameter_drop']:6.2f}%, {best['parameters']:,} left",
        f"  MAC drop       {best['mac_drop']:6.2f}%, {best['macs']:,} left",
    ]
    if "latency_drop" in best:
        lines.append(f"  latency drop   {best['latency_drop']:6.2f}%, {best['latency_ms']:.3f} ms left")
    if "ancestry" in best:
        lines.append(f"  removed filters come from {ancestry_text(best['ancestry'])}")
    if "islands" in result:
        # None where all of an island failed.
        scores = [island["highest_score"] for island in result["islands"]]
        lines.append(
            "  highest scores of the islands " + ", ".join("-" if s is None else f"{s:.4f}" for s in scores)
        )
    if "front" in result:
        front = result["front"]
        lines.append(f"  front of {front['size']:,} masks, hypervolume {front['hypervolume']:.4f}")
    if "workers" in result:
        lines.append(f"  last generation: {PoolFigures(**result['workers'])}")
    held_out = result.get("held_out")
    if held_out is not None:
        lines.append(
            f"  held-out accuracy ({held_out['split']}) {100 * held_out['original_accuracy']:.2f}% -> "
            f"{100 * held_out['accuracy']:.2f}%"
        )
    return lines


def pace_line(result: dict[str, Any]) -> list[str]:
    """How fast a search goes on, from what :func:`experiments.following.follow` gives; empty if unknown."""
    if result["pace"] is None:
        return []
    each, left = result["pace"]["seconds_a_generation"], result["pace"]["seconds_left"]
    rest = "" if result["complete"] else f", about {_duration(left)} left"
    return [f"  {each:.1f} s a generation{rest}"]


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"

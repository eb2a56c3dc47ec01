"""The results of ``generations.py`` as text for a terminal."""

from typing import Any

from experiments.benchmarks.contention import BUSY
from experiments.benchmarks.machine import peak
from experiments.markdown import table


def as_text(results: dict[str, Any]) -> str:
    """All findings: machine, one table for each generation, agreement, what was scaled."""
    hardware, torch = results["machine"]["hardware"], results["machine"].get("torch")
    lines = [
        f"{results['subject']}, on {', '.join(hardware['devices'])} ({hardware['processor']}, "
        f"{hardware['cores']} cores)",
        f"PyTorch on {torch['device']}, {torch['threads']} threads" if torch else "PyTorch is not installed",
        *(_peaks(results["peaks"])),
        f"compiling ours: {results['compile_seconds']:.2f} s before the first masks; more in the tables",
        _forward(results),
    ]
    for entry in results["generations"]:
        lines += ["", *_generation(results, entry)]
    lines += [
        "",
        "Ratio: their seconds / our seconds, median (smallest to largest) of rounds. Ours is timed on all masks;",
        "a loop costs the same for every mask, so the loops are timed on a few masks, plain JAX also on fewer",
        "images, and scaled. Shares of the peak count the work of the unpruned network, which the loops do.",
    ]
    return "\n".join(lines)


def _peaks(peaks: dict[str, dict[str, float]]) -> list[str]:
    return [
        f"peak of {dtype} matrix products: "
        + ", ".join(f"{library} {speed / 1e9:,.0f} GFLOP/s" for library, speed in found.items())
        for dtype, found in peaks.items()
    ]


def _forward(results: dict[str, Any]) -> str:
    forward = results["forward"]
    work = 2 * results["original_macs"] * forward["images_per_second"]
    return (
        f"ours, one early mask: {forward['images_per_second']:,.0f} images/s in {forward['precision']}, "
        f"{_share(work, results, 'float32')} of the float32 peak, "
        f"{_share(work, results, 'bfloat16')} of bfloat16's"
    )


def _generation(results: dict[str, Any], entry: dict[str, Any]) -> list[str]:
    ours, masks = entry["ours"], entry["distinct"]
    whole = 2 * results["original_macs"] * results["images"] * masks
    left = 2 * entry["macs"] * results["images"]

    def row(name: str, seconds: float, ratio: dict[str, float] | None, timed: str) -> list[str]:
        spread = f"{ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f})" if ratio else ""
        shares = [_share(whole / seconds, results, dtype) for dtype in ("float32", "bfloat16")]
        return [name, f"{seconds:.2f}", f"{seconds / masks:.3f}", spread, *shares, timed]

    rows = [row("ours", ours["median"], None, f"{masks} masks, {results['images']} images")]
    for name, found in entry["rivals"].items():
        timed = f"{found['timed_masks']} masks, {found['timed_images']} images"
        rows.append(row(name, found["median"], found["ratio"], timed))
    header = ["", "seconds", "a mask", "ratio to ours", "float32 peak", "bfloat16 peak", "timed on"]
    lines = [
        f"{entry['name']}: {masks} of {entry['offspring']} offspring to evaluate (the others are clones), "
        f"{entry['parameters_removed']:.1%} of the parameters removed on average",
        f"({entry['source']})",
        *_warning(entry["busy_elsewhere"]),
        table(header, rows),
        f"ours, counting only the work that the masks leave ({left / whole:.0%}): "
        f"{_share(left / ours['median'], results, 'float32')} of the float32 peak, "
        f"{_share(left / ours['median'], results, 'bfloat16')} of bfloat16's; "
        f"the first call took {ours['first']:.2f} s, {ours['compiling']:.2f} s more than later ones",
    ]
    for name, found in entry.get("agreement", {}).items():
        what = "our counts differ from our predictions" if name == "ours" else f"{name} predicts another class"
        lines.append(f"{what}: {found['differing']} of {found['images']:,} images")
    return lines


def _warning(busy_elsewhere: float | None) -> list[str]:
    if busy_elsewhere is None or busy_elsewhere < BUSY:
        return []
    return [f"NOT QUIET: other processes took {busy_elsewhere:.0%} of the processor, which hits PyTorch hardest"]


def _share(speed: float, results: dict[str, Any], dtype: str) -> str:
    return f"{speed / peak(results['peaks'], dtype):.1%}"

"""What batches cost, and whether --max-memory bounds the prover: python batches.py ZEROTELL MODELS [NAME ...]

MODELS holds NAME.onnx, DATA_calib.npz and DATA_test.npz, where DATA is NAME up to its first underscore. Two
tables in Markdown: milliseconds and bytes per row for several batch sizes (medians of a process that proves
again and again), and the most memory a whole run of `prove` held under several limits. Exit status 1 if one
exceeded its limit, or a proof was refused.
"""

import json
import os
import subprocess
import sys
import tempfile

BATCHES = (1, 8, 64)
ROWS = 100
FACTORS = (1.3, 2, 4)


def last_line(command, **options):
    """The JSON object a verb ends with; none if it refused."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    lines = done.stdout.splitlines()
    return json.loads(lines[-1]) if done.returncode == 0 and lines else None


def data(name):
    """The data that a model belongs to: `bc` for `bc_mlp`."""
    return name.split("_")[0]


def amortised(tool, model, files, repeat=5):
    """Rows of the first table."""
    for batch in BATCHES:
        command = [tool, "bench", files["onnx"], "--calibrate", files["calib"], "--input", files["test"]]
        found = last_line(command + ["--rows", f"0..{batch}", "--repeat", str(repeat), "--json"])
        setting = found["settings"][0]
        each = [setting[key] / batch for key in ("prove_ms", "cpu_ms", "proof_bytes", "verify_ms")]
        print(f"| `{model}` | {batch} | {each[0]:.2f} | {each[1]:.2f} | {each[2]:,.0f} | {each[3]:.3f} |")


def bounded(tool, model, files, directory):
    """Rows of the second table; whether every run kept its limit."""
    key, proof = os.path.join(directory, f"{model}.key"), os.path.join(directory, f"{model}.ztp")
    flags = ["--calibrate", files["calib"]]
    estimate = last_line([tool, "estimate", files["onnx"], *flags, "--json"])
    identity = last_line([tool, "commit", files["onnx"], *flags, "--model-key", key, "--json"])["model"]
    kept = True
    for factor in FACTORS:
        limit = int(estimate["peak_ram_bytes"] * factor) + (16 << 20)
        command = [tool, "prove", files["onnx"], "--model-key", key, "--input", files["test"], "--json"]
        command += ["--rows", f"0..{ROWS}", "--max-memory", str(limit), "--allow-disagreement", "-o", proof]
        made = last_line(command)
        verdict = last_line([tool, "verify", proof, "--model", identity, "--json"])
        if made is None or verdict is None:
            print(f"| `{model}` | {limit / 1e6:.0f} | refused | | |")
            kept = False
            continue
        peak, proofs = made["peak_rss_bytes"], len(made.get("proofs", [proof]))
        kept &= peak <= limit
        print(f"| `{model}` | {limit / 1e6:.0f} | {peak / 1e6:.0f} | {proofs} | {made['prove_ms'] / ROWS:.2f} |")
    return kept


def main(argv):
    """Command line."""
    if len(argv) < 3:
        print(__doc__)
        return 2
    tool, models = os.path.abspath(argv[1]), argv[2]
    names = argv[3:] or ["bc_mlp", "lenet5"]
    files = {
        name: {kind: os.path.join(models, stem + end) for kind, stem, end in
               (("onnx", name, ".onnx"), ("calib", data(name), "_calib.npz"), ("test", data(name), "_test.npz"))}
        for name in names
    }
    print("| model | rows in a proof | prove ms per row | CPU ms per row | proof bytes per row | verify ms per row |")
    print("|---|---|---|---|---|---|")
    for name in names:
        amortised(tool, name, files[name])
    print(f"\n| model | limit MB | peak MB | proofs of {ROWS} rows | prove ms per row |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as directory:
        kept = [bounded(tool, name, files[name], directory) for name in names]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))

"""Inputs for models of other people: lines of text and pieces of photographs.

    .venv/bin/python tools/compare/real_rows.py OUTDIR

lines_calib.npz, lines_test.npz   `x` [64 and 1000, 3, 48, 192], -1 to 1: random words in the fonts that
                                  matplotlib ships, black or coloured, every other one upside down;
                                  made for a classifier of text direction
photos_calib.npz, photos_test.npz `x` [16 and 32, 3, 416, 416], 0 to 255: pieces of scikit-learn's two
                                  photographs, upper half and lower half, at several sizes
Labels are what they show: 0 upright, 1 upside down; photographs have label 0.
"""

import string
import sys
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_sample_images

SEED = 20261123
LINE = (48, 192)
LETTERS = string.ascii_letters + string.digits
FONTS = ["DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSansMono"]


def line(rng) -> np.ndarray:
    """Words on a plain background, [48, 192, 3], 0 to 255."""
    size = int(rng.integers(22, 34))
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    font = ImageFont.truetype(str(folder / f"{FONTS[rng.integers(len(FONTS))]}.ttf"), size)
    words = ("".join(rng.choice(list(LETTERS), rng.integers(2, 8))) for _ in range(rng.integers(1, 4)))
    light, dark = rng.integers(170, 256, 3), rng.integers(0, 90, 3)
    image = Image.new("RGB", LINE[::-1], tuple(int(v) for v in light))
    place = (int(rng.integers(2, 10)), int(rng.integers(2, 46 - size)))
    ImageDraw.Draw(image).text(place, " ".join(words), fill=tuple(int(v) for v in dark), font=font)
    noisy = np.asarray(image, np.float32) + rng.normal(0, 6, (*LINE, 3))
    return np.clip(noisy, 0, 255).astype(np.float32)


def lines(count: int, seed: int):
    rng = np.random.default_rng([SEED, seed])
    label = np.arange(count) % 2
    x = np.stack([line(rng)[::-1, ::-1] if down else line(rng) for down in label])
    return (x.transpose(0, 3, 1, 2) / 127.5 - 1).astype(np.float32), label


def photos(count: int, part: int):
    """Pieces of 104 to 200 pixels of one half of each photograph, enlarged to 416."""
    rng = np.random.default_rng([SEED, 7, part])
    halves = [np.split(p[:426], 2)[part] for p in load_sample_images().images]
    x = np.empty((count, 3, 416, 416), np.float32)
    for i in range(count):
        photo, size = halves[i % 2], int(rng.integers(104, 201))
        row, column = rng.integers(photo.shape[0] - size), rng.integers(photo.shape[1] - size)
        piece = Image.fromarray(photo[row : row + size, column : column + size]).resize((416, 416))
        x[i] = np.asarray(piece, np.float32).transpose(2, 0, 1)
    return x, np.zeros(count, np.int64)


def main() -> None:
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for name, (x, label) in {
        "lines_calib": lines(64, 0),
        "lines_test": lines(1000, 1),
        "photos_calib": photos(16, 0),
        "photos_test": photos(32, 1),
    }.items():
        np.savez_compressed(out / f"{name}.npz", x=x, label=label)


if __name__ == "__main__":
    main()

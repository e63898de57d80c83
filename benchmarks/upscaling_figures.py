"""The figures of docs/models/srgan.md: both generators of a run, and blends of them, on whole test pictures.

    python benchmarks/upscaling_figures.py RUN SET [SET ...] [--sheet FILE.png]

For each set a line for the bicubic filter and for each blend: PSNR and SSIM on Y by the protocol of `fairdraw
evaluate`, sharpness, consistency, and the distance of `efficientnet-lite0`'s features to the original's: the mean
squared difference of three of its maps over their mean square, on the centre of each picture. Then, of all sets, the
kernel distance between originals and what was made of them, in that network's pooled features, of tiles spread over
the pictures. The sheet shows the first pictures of the last set.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from fairdraw import Blends, Model, Upscales, load
from fairdraw.data.whole import whole_pictures
from fairdraw.images import save_png, to_signed
from fairdraw.metrics.efficientnet import EfficientNetLite0
from fairdraw.metrics.kernel import kernel_distance
from fairdraw.metrics.upscaling import bicubic, compared, low_resolution, protocol, upscaled
from fairdraw.nets.perceptual import frozen_maps
from fairdraw.order import spread
from fairdraw.pictures import group_sheet

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)
SHOWN, SIDE = 8, 128
TILE, TILES = 96, 320


def centre(image: np.ndarray, side: int) -> np.ndarray:
    top, left = ((length - side) // 2 for length in image.shape[1:])
    square = image[:, top : top + side, left : left + side]
    return np.broadcast_to(square, (3, side, side))


def tiles(images: list[np.ndarray]) -> np.ndarray:
    found = [
        np.broadcast_to(image[:, top : top + TILE, left : left + TILE], (3, TILE, TILE))
        for image in images
        for top in range(0, image.shape[1] - TILE + 1, TILE)
        for left in range(0, image.shape[2] - TILE + 1, TILE)
    ]
    return np.stack([found[place] for place in spread(len(found), TILES)])


@torch.inference_mode()
def feature_distance(originals: list[np.ndarray], made: list[np.ndarray]) -> float:
    maps = frozen_maps("efficientnet-lite0", None, False, torch.device("cpu"), torch.float32)
    found = []
    for pair in zip(originals, made, strict=True):
        side = min(256, *(length - length % 32 for length in pair[0].shape[1:]))
        x, y = (maps(to_signed(torch.from_numpy(np.array(centre(image, side)[None])))) for image in pair)
        found.append(np.mean([float(F.mse_loss(b, a) / a.square().mean()) for a, b in zip(x, y, strict=True)]))
    return float(np.mean(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("sets", type=Path, nargs="+")
    parser.add_argument("--sheet", type=Path)
    words = parser.parse_args()
    torch.set_num_threads(1)
    model = load(words.run)
    assert isinstance(model, Model)
    assert isinstance(model, Upscales)
    print(protocol(model.factor))
    print(f"{'set':8} {'':12} {'PSNR':>6} {'SSIM':>7} {'sharp':>6} {'consist':>7} {'features':>8}")
    everything: dict[str, list[np.ndarray]] = {}
    for place in words.sets:
        pairs = [low_resolution(pixels, model.factor) for _, pixels in whole_pictures(place, model.shape[0], 10_000)]
        originals, smalls = [x for x, _ in pairs], [low for _, low in pairs]
        arms = {"bicubic": bicubic(smalls, model.factor)}
        for alpha in ALPHAS if isinstance(model, Blends) else ():
            blended = model.blend(alpha)
            arms[f"alpha {alpha:g}"] = [upscaled(blended, low) for low in smalls]
        for name, made in {"original": originals, **arms}.items():
            everything.setdefault(name, []).extend(made)
        for name, made in arms.items():
            found = compared(originals, smalls, made)
            numbers = [found.psnr, found.ssim, found.sharpness, found.consistency]
            a, b, c, d = (float(values.mean()) for values in numbers)
            distance = feature_distance(originals, made)
            print(f"{place.name:8} {name:12} {a:6.2f} {b:7.4f} {c:6.3f} {d:7.2f} {distance:8.3f}", flush=True)
        if words.sheet and place == words.sets[-1]:
            shown = [arms[name][:SHOWN] for name in ("bicubic", "alpha 0", "alpha 1")] + [originals[:SHOWN]]
            squares = [np.stack([centre(image, SIDE) for image in kind]) for kind in shown]
            says = (
                f"the centres of the first {SHOWN} pictures of {place.name}: bicubic, by pixels, by the game, original"
            )
            save_png(words.sheet, group_sheet(*squares), {"shows": says}, machine_made=True)
    network = EfficientNetLite0.packaged()
    real = network.of(tiles(everything.pop("original")))
    for name, made in everything.items():
        far = kernel_distance(real, network.of(tiles(made)))
        print(f"KD(efficientnet-lite0), {len(real)} tiles: {name} {far.value:.4f} +- {far.standard_error:.4f}")


if __name__ == "__main__":
    main()

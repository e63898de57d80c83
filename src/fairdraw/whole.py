"""A picture as it is, through a model that translates or enlarges: its bits, its alpha and its colours stay its own.

A model of grey or colour images makes the colours. Alpha goes beside it: unchanged where the size is, by bicubic
interpolation where the picture becomes larger. What cannot be seen is not left to speak:

* What translates was trained on pictures over white, and is given them so.
* Before a picture is enlarged, pixels that are fully transparent take the colour of the nearest that is not, so that
  whatever lay hidden there makes no fringe.
"""

import numpy as np
from PIL import Image

from fairdraw.data.decode import Levels, Unreadable, over_white
from fairdraw.data.exact import Exact
from fairdraw.tiling import Tick, Tiled


def applied(tiled: Tiled, picture: Exact, channels: int, number: int = 0, tick: Tick | None = None) -> Levels:
    """What a model of images of so many `channels` makes of a picture, `[H, W, C]` in its type, alpha last.

    Args:
        tiled: the model.
        picture: the picture.
        channels: 1, 3, or 4, where alpha is a part of the images.
        number: of the picture among several, for models with noise.
        tick: told how many tiles are done.

    Raises:
        Unreadable: for a picture in colour where the model is of grey images.
        InputError: where the result, or the work on a tile, does not fit into memory.
    """
    enlarges = tiled.factor > 1
    made = tiled.of(as_images_are(picture, channels, opaque=not enlarges), number, tick).transpose(1, 2, 0)
    if picture.alpha is None or channels == 4:
        return made
    alpha = enlarged(picture.alpha, tiled.factor) if enlarges else picture.alpha
    return np.dstack([made, alpha])


def as_images_are(picture: Exact, channels: int, opaque: bool) -> Levels:
    """The picture as a model's images of so many `channels`, `[C, H, W]` in its type.

    Raises:
        Unreadable: for a picture in colour, where there is 1 channel.
    """
    pixels, alpha = picture.pixels, picture.alpha
    most = pixels.dtype.type(np.iinfo(pixels.dtype).max)
    if channels == 1 and pixels.shape[2] == 3:
        if not (pixels == pixels[..., :1]).all():
            raise Unreadable("it is in colour, and the model is one of grey images; make it grey first")
        pixels = pixels[..., :1]
    if channels == 4:
        alpha = np.full(pixels.shape[:2], most) if alpha is None else alpha
        pixels = np.where(alpha[..., None] == 0, most, pixels)  # as in training
        pixels = np.dstack([np.broadcast_to(pixels, (*alpha.shape, 3)), alpha])
    elif alpha is not None and opaque:
        pixels = over_white(np.dstack([pixels, alpha]))
    elif alpha is not None and not alpha.all() and alpha.any():
        pixels = _bled(pixels, alpha)
    return np.broadcast_to(pixels, (*pixels.shape[:2], channels)).transpose(2, 0, 1)


def enlarged(alpha: Levels, factor: int) -> Levels:
    """`alpha` `[H, W]` by bicubic interpolation, in its type."""
    height, width = alpha.shape
    most = np.iinfo(alpha.dtype).max
    shown = Image.fromarray(alpha.astype(np.float32))
    values = np.asarray(shown.resize((width * factor, height * factor), Image.Resampling.BICUBIC))
    found: Levels = np.clip(np.rint(values), 0, most).astype(alpha.dtype)
    return found


def _bled(pixels: Levels, alpha: Levels) -> Levels:
    from scipy.ndimage import distance_transform_edt

    rows, columns = distance_transform_edt(alpha == 0, return_distances=False, return_indices=True)
    found: Levels = pixels[rows, columns]
    return found

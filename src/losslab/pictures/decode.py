"""One picture from a file of any mode and size, and many of them brought to one size and one number of channels."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from losslab.errors import BadRequest, first_line, raise_if_ended

if TYPE_CHECKING:
    from PIL.Image import Image

# Pillow reads more, such as PDF and video; these are pictures
SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".pnm")
LARGEST = 64  # pixels a side, unless the user asks for more
_SMALLEST = 8
_WHITE = (255, 255, 255, 255)
_DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I")  # grey levels from 0 to 65,535
_ORIENTATION = 274  # the EXIF tag


class Size(NamedTuple):
    """Of a picture as it is shown, in pixels, and its mode as its file has it."""

    width: int
    height: int
    mode: str


class Fitted(NamedTuple):
    """A picture of one size.

    pixels: [side, side] or [side, side, 3], uint8 in [0, 255], or float32 in [0, 1] where a file has more than 256 levels.
    scale: new pixels for each of the picture's, along x and y.
    offset: where the picture begins in the new one, in new pixels, x and y.
    """

    pixels: NDArray[np.uint8] | NDArray[np.float32]
    scale: tuple[float, float]
    offset: tuple[int, int]


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Raises BadRequest, with the file, for a picture that cannot be opened or is cut off."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large pictures and odd metadata; what cannot be read is an error
            yield
    except BadRequest:
        raise
    except UnidentifiedImageError as error:
        raise BadRequest(f"{file} is no picture, or it is damaged; replace it or take it away.") from error
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, Image.DecompressionBombError) as error:
        raise_if_ended(error)
        raise BadRequest(
            f"{file} cannot be read as a picture: {first_line(error)}; replace it or take it away."
        ) from error


def size_of(file: Path) -> Size:
    """The size of a picture as it is shown, and its mode, from its header."""
    from PIL import Image

    with _readable(file), Image.open(file) as image:
        width, height = image.size
        turned = image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
        return Size(height, width, image.mode) if turned else Size(width, height, image.mode)


def opened(file: Path, least: int = 0, turn: bool = True) -> Image:
    """A picture in mode L, RGB or, of more than 256 grey levels, F in [0, 1]; the first frame where there are several.

    Transparent pixels are shown on white. Grey levels of 16 bits are divided by 65,535.

    Args:
        file: its path.
        least: pixels; JPEG may be decoded in a smaller size whose sides are at least this, which takes less time. 0: as it is.
        turn: whether it is turned as its EXIF orientation says.

    Raises:
        BadRequest: a file that is no picture or is damaged, and one of floats outside [0, 1].
    """
    from PIL import Image, ImageOps

    with _readable(file), Image.open(file) as image:
        if least:
            image.draft(None, (least, least))
        image.load()
        return _plain(ImageOps.exif_transpose(image) if turn else image, file)


def _plain(image: Image, file: Path) -> Image:
    from PIL import Image

    if image.mode in _DEEP or image.mode == "F":
        levels = np.asarray(image, dtype=np.float32) / (1 if image.mode == "F" else 65535)
        if not (np.isfinite(levels).all() and levels.min() >= 0 and levels.max() <= 1):
            allowed = "[0, 1]" if image.mode == "F" else "[0, 65535]"
            raise BadRequest(f"{file} has grey levels outside {allowed}; bring them into that range first.")
        return Image.fromarray(levels)
    if image.mode in ("RGB", "L"):
        return image.copy()
    if image.has_transparency_data:
        coloured = image.convert("RGBA")
        below = Image.new("RGBA", image.size, _WHITE)
        below.alpha_composite(coloured)
        image = below.convert("L" if image.mode in ("LA", "L", "1") else "RGB")
    return image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")


def fitted(image: Image, side: int, stretch: bool = False) -> Fitted:
    """A picture scaled into a square of `side` pixels: its shape kept and black around it, or stretched."""
    from PIL import Image

    width, height = image.size
    share = side / max(width, height)
    new = (side, side) if stretch else (max(1, round(share * width)), max(1, round(share * height)))
    scaled = image.resize(new, Image.Resampling.BILINEAR)  # Pillow averages over what becomes one pixel
    offset = ((side - new[0]) // 2, (side - new[1]) // 2)
    if new != (side, side):
        square = Image.new(image.mode, (side, side))
        square.paste(scaled, offset)
        scaled = square
    return Fitted(np.asarray(scaled), (new[0] / width, new[1] / height), offset)


def sides_of(sizes: Sequence[Size]) -> int:
    """The side of the squares where the user names none: the median of the longer sides, at least 8 and at most 64."""
    return int(min(max(statistics.median(max(size.width, size.height) for size in sizes), _SMALLEST), LARGEST))


def stacked(
    pictures: Sequence[NDArray[np.uint8] | NDArray[np.float32]],
    channels: str,
    check: Callable[[int], None] = lambda count: None,
) -> NDArray[np.float32]:
    """Fitted pictures as one array [n, channels, side, side], float32 in [0, 1].

    Args:
        pictures: pixels of each; see `Fitted`.
        channels: "1", "3", or "auto": 3 if some pixel has a colour, else 1.
        check: called with the number of channels before the array is made.
    """
    count = (3 if any(map(_has_colour, pictures)) else 1) if channels == "auto" else int(channels)
    check(count)
    side = len(pictures[0])
    found = np.empty((len(pictures), count, side, side), dtype=np.float32)
    for row, pixels in enumerate(pictures):
        found[row] = _in_channels(pixels, count)
    return found


def _has_colour(pixels: NDArray[np.uint8] | NDArray[np.float32]) -> bool:
    return pixels.ndim == 3 and bool((pixels != pixels[..., :1]).any())


def _in_channels(pixels: NDArray[np.uint8] | NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """[side, side] or [side, side, 3] -> [count, side, side] in [0, 1]; colours become grey by the weights of ITU-R 601."""
    levels = pixels.astype(np.float32)
    levels /= np.float32(255 if pixels.dtype == np.uint8 else 1)
    if levels.ndim == 2:
        return np.broadcast_to(levels, (count, *levels.shape))
    if count == 3:
        return levels.transpose(2, 0, 1)
    if not _has_colour(pixels):
        return levels[None, ..., 0]
    grey: NDArray[np.float32] = levels @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    return grey[None]

"""Pictures of pages as PNGs with a palette, a third as large as the browser's own."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

_MOST_COLOURS = 256
#: The width of a picture, and its pixels as red, green and blue, each rounded to one of 33 shades.
_PIXELS = """async png => {
  const image = await createImageBitmap(await (await fetch('data:image/png;base64,' + png)).blob());
  const canvas = new OffscreenCanvas(image.width, image.height).getContext('2d');
  canvas.drawImage(image, 0, 0);
  const data = canvas.getImageData(0, 0, image.width, image.height).data;
  let text = '';
  for (let at = 0; at < data.length; at += 4)
    text += String.fromCharCode(...[0, 1, 2].map(channel => Math.min(255, 8 * Math.round(data[at + channel] / 8))));
  return [image.width, btoa(text)];
}"""


def small_png(page: Page) -> bytes:
    """The whole page; raises ValueError for one of more than 256 colours."""
    width, encoded = page.evaluate(_PIXELS, base64.b64encode(page.screenshot(full_page=True)).decode())
    data = base64.b64decode(encoded)
    pixels = [data[at : at + 3] for at in range(0, len(data), 3)]
    palette = {colour: number for number, colour in enumerate(sorted(set(pixels)))}
    if len(palette) > _MOST_COLOURS:
        raise ValueError(f"{len(palette)} colours, more than {_MOST_COLOURS}")
    numbers = bytes(palette[pixel] for pixel in pixels)
    # Each row begins with a zero: not filtered, which is best for a palette.
    rows = b"".join(b"\0" + numbers[at : at + width] for at in range(0, len(numbers), width))
    header = struct.pack(">IIBBBBB", width, len(numbers) // width, 8, 3, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"PLTE", b"".join(palette)), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )

"""Images in folders: a folder a class."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any

from mydl.data.dataset import Dataset

IMG_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP")
LARGEST_IMAGE = 210 << 20  # bytes of memory that reading one may take: some 20 million pixels


class _File(io.BufferedReader):
    """A file that asks for no more memory than it has bytes, however many a damaged header announces."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(-1 if size is None else min(size, os.fstat(self.fileno()).st_size))


def read_image(path: str | os.PathLike[str], convert: Callable[[Any], Any] | None = None) -> Any:
    """The image in a file, as a PIL image in RGB, or what `convert` makes of it.

    `convert` gets the PIL image as it is stored, in whatever mode; what it returns must not need the file.

    Raises ValueError for a file that is no whole image, or one that could take more than 210 MB of memory: the file
    itself, and 10 bytes a pixel (12 in RGBA, CMYK and TIFF, 19 in WebP), so about 20 million pixels in a JPEG; OSError
    for one that cannot be opened.

    >>> read_image("nowhere.png")
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'nowhere.png'
    """
    from PIL import Image, UnidentifiedImageError

    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f"{path}: not a readable image (a folder or device)")
    with _File(io.FileIO(path)) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            _check_memory("opening it", 2 * size)  # some decoders read it whole, and put it together from parts
            with Image.open(file, formats=FORMATS) as image:
                pixels = f"{image.width}×{image.height} pixels"
                _check_memory(f"{pixels} of {image.mode} in {image.format}", size + _decoded_size(image))
                return image.convert("RGB") if convert is None else convert(image)
        except UnidentifiedImageError:
            raise ValueError(f"{path}: not a readable image (none of {', '.join(FORMATS)})") from None
        except _TooLarge as error:
            raise ValueError(f"{path}: too large an image ({error}); make it smaller first") from None
        except Exception as error:  # its decoders raise whatever a damaged file makes them trip over
            raise ValueError(f"{path}: not a readable image ({type(error).__name__}: {error})") from None


class _TooLarge(Exception):
    """Reading an image could take more memory than one may."""


def _decoded_size(image: Any) -> int:
    """The bytes that decoding an image and converting it to RGB take at most, beside its file.

    Pillow holds a pixel in 4 bytes before and after conversion. Decoders hold more meanwhile: JPEG's 2 for each
    channel, TIFF's a strip of 16-bit channels, WebP's the image several times.
    """
    wide = image.format == "TIFF" or image.mode in ("RGBA", "CMYK", "I")
    return image.width * image.height * (19 if image.format == "WEBP" else 12 if wide else 10)


def _check_memory(what: str, size: int) -> None:
    if size > LARGEST_IMAGE:
        raise _TooLarge(f"{what} could take {size >> 20} MB of memory; wanted at most {LARGEST_IMAGE >> 20}")


class ImageFolder(Dataset):
    """Images in a folder a class, as `root/cat/1.png` and `root/dog/a/2.jpg`; samples are (image, label).

    Args:
        root: the folder of the classes, which are numbered in the order of their names.
        transform, target_transform: applied to each PIL image and each label.
        loader: reads an image from a path; by default `read_image`, which gives RGB.
        is_valid_file: says by its path whether a file is an image; by default its extension does.
        allow_empty: whether a class may have no images.

    `classes`, `class_to_idx`, `samples` (path, label), `imgs` (the same) and `targets` are as in torchvision.

    Raises FileNotFoundError if there are no classes, or one has no images; ValueError for a link that leads back
    into a folder that it is itself in.

    >>> import pathlib, tempfile
    >>> from PIL import Image
    >>> root = pathlib.Path(tempfile.mkdtemp())
    >>> (root / "cat").mkdir()
    >>> Image.new("L", (4, 3)).save(root / "cat" / "1.png")
    >>> images = ImageFolder(root)
    >>> images.classes, images[0][0].size, images[0][1]
    (['cat'], (4, 3), 0)
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        loader: Callable[[str], Any] = read_image,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        self.root, self.transform = root, transform
        self.target_transform, self.loader = target_transform, loader
        self.classes = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
        if not self.classes:
            raise FileNotFoundError(f"ImageFolder: no class folders in {root}")
        self.class_to_idx = {name: index for index, name in enumerate(self.classes)}
        accept = is_valid_file or (lambda path: path.lower().endswith(IMG_EXTENSIONS))
        self.samples: list[tuple[str, int]] = []
        for name, index in self.class_to_idx.items():
            found = [(path, index) for path in _files(os.path.join(root, name)) if accept(path)]
            if not found and not allow_empty:
                raise FileNotFoundError(f"ImageFolder: no images in {os.path.join(root, name)}")
            self.samples += found
        self.imgs = self.samples
        self.targets = [label for _, label in self.samples]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, target = self.samples[index]
        sample: Any = self.loader(path)
        if self.transform is not None:
            sample = self.transform(sample)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return sample, target


def _files(folder: str) -> list[str]:
    found = []
    for directory, folders, names in os.walk(folder, onerror=_fail, followlinks=True):
        here = os.path.realpath(directory)
        for path in (os.path.join(directory, name) for name in folders):
            if os.path.islink(path) and os.path.join(here, "").startswith(os.path.join(os.path.realpath(path), "")):
                raise ValueError(f"ImageFolder: {path}: a link to a folder that it is itself in")
        found.append((directory, sorted(names)))
    return [os.path.join(directory, name) for directory, names in sorted(found) for name in names]


def _fail(error: OSError) -> None:
    raise error

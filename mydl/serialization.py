"""State files without pickle, in the formats of safetensors and NumPy's .npz.

A state dict is a mapping from names to tensors; a checkpoint has such dicts in a structure around them.
Files are treated as coming from a stranger: nothing in them is executed, and every size that a header
declares is checked against the file before memory is asked for it.
"""

from __future__ import annotations

import errno
import io
import json
import math
import os
import stat
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import safetensors
import safetensors.numpy

from mydl.files import atomic_write
from mydl.nested import Damaged, flatten, restore
from mydl.tensor import MyTensor

__all__ = ["load", "load_metadata", "save"]

# The dtypes both formats and NumPy share, under safetensors' codes; NumPy has no bfloat16 or 8-bit floats.
_DTYPES = {
    "BOOL": "bool",
    "U8": "uint8", "U16": "uint16", "U32": "uint32", "U64": "uint64",
    "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64",
    "F16": "float16", "F32": "float32", "F64": "float64",
}  # fmt: skip

T = TypeVar("T")

_METADATA = "__metadata__"  # safetensors' own key for it; the .npz has a member of that name
_STRUCTURE = "mydl.structure"  # the key in it for what lies around the tensors, where they are no plain dict
_HEADER_LIMIT = 100_000_000  # bytes of JSON; safetensors' own limit
_SMALL = 64 << 20  # bytes that a compressed .npz may always unpack to ...
_INFLATION = 100  # ... and beyond them, how many times its own size


def save(obj: Any, f: str | os.PathLike[str] | BinaryIO, metadata: Mapping[str, str] | None = None) -> None:
    """Write a state dict, or nested dicts and lists around tensors, whole or not at all.

    A dict from names to tensors becomes a plain state file that other programs read. Around it may be dicts,
    lists, tuples, text, numbers, booleans and None, such as `{"epoch": 3, "model": model.state_dict(),
    "optimizer": optimizer.state_dict()}`: their structure goes into the file's metadata.

    Args:
        obj: tensors or NumPy arrays in bool, an integer type or float16, float32, float64, in such a structure.
            A GPU's are copied to the host.
        f: where to: a path, whose file is replaced, or a binary file open for writing. The format is NumPy's
            for a name in .npz, safetensors for every other, PyTorch's usual .pt included.
        metadata: text to store beside the tensors, such as the model's options; `load_metadata` reads it.

    Raises:
        ValueError: a name that a file cannot hold safely.
        TypeError: a value of another kind; the error names its place.
        OSError: `f` cannot be written. An older file is left as it was.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
        >>> save({"weight": np.ones((2, 3), np.float32)}, path, metadata={"model": "logistic"})
        >>> load(path)["weight"].shape, load_metadata(path)
        ((2, 3), {'model': 'logistic'})
    """
    metadata = _checked_metadata(metadata or {})
    plain = isinstance(obj, Mapping) and all(
        isinstance(name, str) and isinstance(value, (MyTensor, np.ndarray)) for name, value in obj.items()
    )
    tensors = obj
    if not plain:
        tensors, metadata[_STRUCTURE] = flatten(obj)
    arrays = _host_arrays(tensors)
    with atomic_write(f) if isinstance(f, (str, os.PathLike)) else nullcontext(f) as file:
        if _is_npz(f):
            _write_npz(file, arrays, metadata)
        else:
            _write_safetensors(file, arrays, metadata)


def load(
    f: str | os.PathLike[str] | BinaryIO,
    map_location: Any = None,
    *,
    weights_only: bool = True,
    mmap: bool | None = None,
) -> Any:
    """Read what `save` wrote, or a state dict by any other program in .safetensors or .npz.

    The tensors are new and ask for no gradient. The order of a plain state dict is the file's; in a
    .safetensors file that is not the order of saving.

    Args:
        f: a path, or a binary file open for reading.
        map_location: the device to put the tensors on; the host if None. Also a dict that says where "cpu" goes, or a
            function that gets a tensor and "cpu" and gives it back, there or elsewhere.
        weights_only, mmap: taken so that PyTorch's calls run; no file can bring in code here.

    Raises:
        ValueError: a damaged, truncated, foreign or hostile file, PyTorch's pickles included; a dtype that
            NumPy lacks. The error names the file and says what was found and what was wanted.
        OSError: the file is missing or cannot be read.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "checkpoint.pt")
        >>> save({"epoch": 3, "model": {"bias": np.zeros(3, np.float16)}}, path)
        >>> load(path)["epoch"], load(path)["model"]["bias"].dtype
        (3, dtype('float16'))
    """
    where = map_location.get("cpu") if isinstance(map_location, Mapping) else map_location
    with _opened(f) as file:
        arrays, metadata = _read_npz(file) if _is_npz(f, file) else _read_safetensors(file, f)
        tensors = {name: MyTensor(array) for name, array in arrays.items()}
        structure = metadata.get(_STRUCTURE)
        if structure is not None:
            restore(tensors, structure)
    if callable(where):
        tensors = {name: where(tensor, "cpu") for name, tensor in tensors.items()}
    elif where is not None:
        tensors = {name: tensor.to(where) for name, tensor in tensors.items()}
    return tensors if structure is None else restore(tensors, structure)


def load_metadata(f: str | os.PathLike[str] | BinaryIO) -> dict[str, str]:
    """Read the text that `save` was given beside the tensors; empty where there is none. Fails as `load` does.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "model.npz")
        >>> save({}, path, metadata={"epoch": "7"})
        >>> load_metadata(path)
        {'epoch': '7'}
    """
    with _opened(f) as file:
        if _is_npz(f, file):
            with zipfile.ZipFile(file) as archive:
                metadata = _read_npz_metadata(archive, _npz_members(archive, file))
        else:
            metadata = _read_safetensors_header(file)[1]
    metadata.pop(_STRUCTURE, None)
    return metadata


def _is_npz(f: str | os.PathLike[str] | BinaryIO, file: BinaryIO | None = None) -> bool:
    """By the name when there is one that says so, else by the first bytes of what is read."""
    if isinstance(f, (str, os.PathLike)) and Path(f).suffix in (".npz", ".safetensors"):
        return Path(f).suffix == ".npz"
    if file is None:
        return False
    start = file.read(4)
    file.seek(0)
    return start in (b"PK\3\4", b"PK\5\6")


def _host_arrays(tensors: Mapping[str, MyTensor | np.ndarray | np.generic]) -> dict[str, np.ndarray]:
    """Check every name and dtype, and give C-contiguous host arrays in the machine's byte order."""
    arrays = {}
    for name, value in tensors.items():
        fault = _name_fault(name)
        if fault:
            raise ValueError(f"save: the name {name!r} {fault}")
        array = value.detach().numpy() if isinstance(value, MyTensor) else np.asarray(value)
        if array.dtype.name not in _DTYPES.values():
            raise TypeError(f"save: '{name}' has dtype {array.dtype}; wanted one of {', '.join(_DTYPES.values())}")
        arrays[name] = np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
    return arrays


def _name_fault(name: str) -> str | None:
    """What is wrong with a tensor's name, if anything; an archive's names may one day become paths."""
    if not name or "\0" in name:
        return "is empty or holds a NUL character"
    if name == _METADATA:
        return "is reserved"
    parts = name.replace("\\", "/").split("/")
    if not parts[0] or ".." in parts:
        return "would leave its folder as a path"
    try:
        name.encode()
    except UnicodeEncodeError:
        return "cannot be written as UTF-8"
    return None


def _checked_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(metadata, Mapping):
        raise TypeError(f"metadata is a {type(metadata).__name__}; wanted a mapping from strings to strings")
    for key, value in metadata.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"metadata {key!r}: {value!r} is not text; wanted strings for keys and values")
    return dict(metadata)


@contextmanager
def _opened(f: Any) -> Iterator[Any]:
    """Open a state file, and turn whatever its bytes provoke into a ValueError or OSError that names it."""
    is_path = isinstance(f, (str, os.PathLike))
    name = os.fspath(f) if is_path else getattr(f, "name", type(f).__name__)
    try:
        if is_path and not stat.S_ISREG(os.stat(f).st_mode):
            raise Damaged("found a folder or device; wanted a state file")
        with open(f, "rb") if is_path else io.BytesIO(f.read()) as file:
            yield file
    except Damaged as error:
        raise ValueError(f"cannot load '{name}': {error}") from error
    except Exception as error:
        # A damaged archive sends zipfile to impossible places (EINVAL); other numbers are the system's own.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise OSError(error.errno, f"cannot load a state dict: {error.strerror}", name) from error
        # Strange bytes fail in any way that the parsers of zip, npy and JSON can; all mean one thing here.
        raise ValueError(
            f"cannot load '{name}': found a damaged or foreign file ({type(error).__name__}: {error}); "
            "wanted a complete one in the format of safetensors or .npz"
        ) from error


def _without_duplicates(pairs: list[tuple[str, T]]) -> dict[str, T]:
    result = dict(pairs)
    if len(result) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise Damaged(f"found the name {twice!r} twice; wanted each name once")
    return result


def _parsed_metadata(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise Damaged("found metadata that is not text; wanted strings for keys and values")
    return value


def _size(file: BinaryIO) -> int:
    position = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(position)
    return size


def _read_safetensors_header(file: BinaryIO) -> tuple[dict[str, dict], dict[str, str]]:
    """The tensor entries and the metadata, after the checks that safetensors' own reader leaves out."""
    prefix = file.read(8)
    length = int.from_bytes(prefix, "little")
    if len(prefix) < 8 or length > min(_size(file) - 8, _HEADER_LIMIT):
        raise Damaged(f"found {_size(file)} bytes with a header of {length}; wanted a complete .safetensors file")
    header = json.loads(file.read(length), object_pairs_hook=_without_duplicates)
    if not isinstance(header, dict):
        raise Damaged(f"found a header that is a {type(header).__name__}; wanted a JSON object")
    metadata = _parsed_metadata(header.pop(_METADATA, {}))
    for name, entry in header.items():
        fault = _name_fault(name)
        if fault:
            raise Damaged(f"found the name {name!r}, which {fault}; wanted a plain one")
        if entry["dtype"] not in _DTYPES:
            raise Damaged(
                f"found '{name}' in dtype {entry['dtype']}, which NumPy does not have; wanted one of "
                f"{', '.join(_DTYPES)}: convert it (to F32, say) where it was written"
            )
    return header, metadata


def _read_safetensors(
    file: BinaryIO, f: str | os.PathLike[str] | BinaryIO
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    header, metadata = _read_safetensors_header(file)
    if not isinstance(f, (str, os.PathLike)):
        file.seek(0)
        return safetensors.numpy.load(file.read()), metadata
    with safetensors.safe_open(f, framework="np") as tensors:
        return {name: tensors.get_tensor(name) for name in header}, metadata


def _write_safetensors(file: BinaryIO, arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """What the library writes, its metadata put in order: so the same state gives the same bytes."""
    content = memoryview(safetensors.numpy.save(arrays, metadata or None))
    end = 8 + int.from_bytes(content[:8], "little")
    if metadata:
        header = json.loads(bytes(content[8:end]))
        header[_METADATA] = dict(sorted(metadata.items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % 8)
        file.write(len(text).to_bytes(8, "little") + text)
    else:
        file.write(content[:end])
    file.write(content[end:])


def _write_npz(file: BinaryIO, arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """What `np.savez` does, which cannot take names such as 'file' and stamps the time on every member."""
    if metadata:
        text = np.frombuffer(json.dumps(metadata).encode(), np.uint8)
        arrays = {_METADATA: text, **arrays}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _npz_members(archive: zipfile.ZipFile, file: BinaryIO) -> dict[str, zipfile.ZipInfo]:
    """The archive's arrays by name, after checks of names, compression and sizes against the file's own."""
    infos = archive.infolist()
    for info in infos:
        if info.filename.endswith("data.pkl"):
            raise Damaged(
                "found a pickle, as torch.save writes it, which could run any code; wanted the format of safetensors: "
                "write it from PyTorch with safetensors.torch.save_file(state_dict, path)"
            )
        if not info.filename.endswith(".npy"):
            raise Damaged(f"found the member {info.filename!r}; wanted .npy arrays alone")
        # bzip2 and LZMA could unpack to gigabytes in a single call.
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Damaged(f"found {info.filename!r} with compression {info.compress_type}; wanted stored or deflated")
    packed, declared = sum(info.compress_size for info in infos), sum(info.file_size for info in infos)
    limit = max(_SMALL, _INFLATION * _size(file))
    if packed > _size(file) or declared > limit:
        raise Damaged(
            f"found {_size(file)} bytes that claim to hold {packed} and to unpack to {declared}; "
            f"wanted at most {limit} unpacked"
        )
    members = _without_duplicates([(info.filename.removesuffix(".npy"), info) for info in infos])
    for name in members.keys() - {_METADATA}:
        fault = _name_fault(name)
        if fault:
            raise Damaged(f"found the name {name!r}, which {fault}; wanted a plain one")
    return members


def _read_npz_array(archive: zipfile.ZipFile, name: str, info: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(member)
        if dtype.name not in _DTYPES.values():
            raise Damaged(f"found '{name}' in dtype {dtype}; wanted numbers, one of {', '.join(_DTYPES.values())}")
        wanted, found = math.prod(shape) * dtype.itemsize, info.file_size - member.tell()
        if min(shape, default=0) < 0 or wanted != found:
            raise Damaged(f"found {found} bytes for '{name}'; wanted {wanted}, for {shape} in {dtype}")
    with archive.open(info) as member:
        array = np.lib.format.read_array(member, allow_pickle=False)
    return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")


def _read_npz_metadata(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> dict[str, str]:
    if _METADATA not in members:
        return {}
    text = _read_npz_array(archive, _METADATA, members[_METADATA]).tobytes()
    return _parsed_metadata(json.loads(text, object_pairs_hook=_without_duplicates))


def _read_npz(file: BinaryIO) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    with zipfile.ZipFile(file) as archive:
        members = _npz_members(archive, file)
        metadata = _read_npz_metadata(archive, members)
        members.pop(_METADATA, None)
        return {name: _read_npz_array(archive, name, info) for name, info in members.items()}, metadata

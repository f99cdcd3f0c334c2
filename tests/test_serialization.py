"""State files: what goes in comes out bit for bit, bad files are refused, and nothing stays half-written."""

from __future__ import annotations

import errno
import io
import json
import os
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

import mydl
from mydl import files
from mydl.serialization import load, load_metadata, save
from mydl.tensor import MyTensor

BOTH = pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
DTYPES = ["bool", *(f"{kind}{8 * 2**i}" for kind in ("uint", "int") for i in range(4))]
DTYPES += ["float16", "float32", "float64"]


def assert_same(array, expected):
    assert (array.dtype, array.shape) == (expected.dtype, expected.shape)
    assert array.tobytes() == expected.tobytes()  # NaN payloads and -0.0 included


# ---- what goes in comes out


@BOTH
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (7,), (2, 3, 5)])
def test_round_trip_of_every_dtype_and_shape(tmp_path, suffix, dtype, shape):
    array = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    save({"layer.weight": MyTensor(array)}, tmp_path / f"state{suffix}")
    state = load(tmp_path / f"state{suffix}")
    assert list(state) == ["layer.weight"]
    assert isinstance(state["layer.weight"], MyTensor)
    assert_same(state["layer.weight"].numpy(), array)


@BOTH
def test_awkward_memory_and_values(tmp_path, suffix):
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    arrays = {
        "transposed": base.T,
        "strided": base[::2, ::-3],
        "broadcast": np.broadcast_to(np.float32(3), (2, 2)),
        "fortran": np.asfortranarray(base),
        "big_endian": base.astype(">f4"),
        "special": np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324]),
        "scalar": np.float16(0.1),
    }
    save(arrays, tmp_path / f"s{suffix}")
    state = load(tmp_path / f"s{suffix}")
    assert state.keys() == arrays.keys()
    for name, array in arrays.items():
        assert_same(state[name].numpy(), np.array(array, array.dtype.newbyteorder("="), order="C"))


NESTED = {
    "epoch": 2**70 + 1,
    "lr": 0.1,
    "done": True,
    "name": "größer\n",
    "nothing": None,
    "infinite": [float("inf"), -0.0],
    "model": {"a.b": np.arange(3.0), "a": {"b": np.ones((2, 0), np.int8)}},
    "optimizer": {"state": {0: {"step": np.float32(3)}, 1: {}}, "betas": (0.9, 0.999), "empty": [[], (), {}]},
    7: [np.zeros(2, bool), {"x": (np.ones(1),)}],
}


@BOTH
@pytest.mark.parametrize(
    "value", [NESTED, [1.0], "text", 3, None, {}, {"step": 2**40 + 1}, {"x": [np.ones(2)]}], ids=repr
)
def test_structures_around_tensors_come_back(tmp_path, suffix, value):
    def same(a, b):
        if isinstance(a, (np.ndarray, np.generic)):
            return assert_same(b.numpy(), np.asarray(a))
        assert type(a) is type(b)
        if isinstance(a, dict):
            assert list(a) == list(b)
            return [same(a[key], b[key]) for key in a]
        if isinstance(a, (list, tuple)):
            assert len(a) == len(b)
            return [same(x, y) for x, y in zip(a, b)]
        assert a == b

    path = tmp_path / f"s{suffix}"
    save(value, path, {"mine": "kept"})
    same(value, load(path))
    assert load_metadata(path) == {"mine": "kept"}


def test_an_optimizer_goes_on_where_its_state_was_saved(tmp_path):
    """The checkpoint of PyTorch's tutorials, by the name that they use."""

    def made():
        mydl.manual_seed(0)
        model = mydl.nn.Linear(3, 2)
        return model, mydl.optim.Adam(model.parameters(), lr=0.1)

    def step(model, optimizer):
        optimizer.zero_grad()
        model(mydl.ones(1, 3)).square().sum().backward()
        optimizer.step()

    model, optimizer = made()
    step(model, optimizer)
    state = {"epoch": 1, "model_state_dict": model.state_dict(), "optimizer_state_dict": optimizer.state_dict()}
    save(state, tmp_path / "checkpoint.pt")
    step(model, optimizer)
    again, optimizer = made()
    state = load(tmp_path / "checkpoint.pt", map_location=mydl.device("cpu"), weights_only=True)
    asked = []
    for where in (lambda tensor, place: asked.append(place) or tensor, {"cpu": "cpu", "cuda:0": "cpu"}):
        found = load(tmp_path / "checkpoint.pt", map_location=where)["model_state_dict"]
        assert_same(found["weight"].numpy(), state["model_state_dict"]["weight"].numpy())
    assert set(asked) == {"cpu"}
    again.load_state_dict(state["model_state_dict"])
    optimizer.load_state_dict(state["optimizer_state_dict"])
    step(again, optimizer)
    assert state["epoch"] == 1
    assert_same(again.weight.detach().numpy(), model.weight.detach().numpy())


@pytest.mark.parametrize("value", [{"w": np.ones(3)}, NESTED])
def test_file_objects(value):
    buffer = io.BytesIO()
    save(value, buffer, {"mine": "kept"})
    buffer.seek(0)
    assert list(load(buffer)) == list(value)
    buffer.seek(0)
    assert load_metadata(buffer) == {"mine": "kept"}
    with pytest.raises(ValueError, match=r"cannot load 'BytesIO'.*wanted"):
        load(io.BytesIO(buffer.getvalue()[:-1]))


BAD_STRUCTURES = [
    '["tensor", "b"]', '["dict", ["a", ["tensor", "a"]], 3]', '["dict", [["list"], 1]]', '["set"]', "[]", "{}", "3",
    "x", '["list", ["tensor", "a"], ["tensor", "a"]]', "[" * 10**5,
]  # fmt: skip


@pytest.mark.parametrize("structure", BAD_STRUCTURES, ids=range(len(BAD_STRUCTURES)))
@BOTH
def test_structures_that_do_not_fit_are_refused(tmp_path, suffix, structure):
    path = tmp_path / f"s{suffix}"
    save({"a": np.ones(1)}, path, {"mydl.structure": structure})
    refused(path)


@BOTH
def test_loaded_tensors_are_the_callers_own(tmp_path, suffix):
    path = tmp_path / f"s{suffix}"
    save({"a": np.zeros(3, np.float32)}, path)
    before = path.read_bytes()
    state = load(path)
    assert state["a"].requires_grad is False
    state["a"].array[:] = 7  # raises where the array is a read-only view of the file
    assert path.read_bytes() == before


@BOTH
@pytest.mark.parametrize("name", ["file", "allow_pickle", "arr_0", "a.npy", "Größe", "a b/c", "self", "x" * 300])
def test_any_sensible_name(tmp_path, suffix, name):
    save({name: np.ones(2)}, tmp_path / f"s{suffix}")
    assert list(load(tmp_path / f"s{suffix}")) == [name]


@BOTH
@pytest.mark.parametrize("metadata", [None, {}, {"model": "mlp", "options": '{"hidden": [600, 100]}', "ü": "\0"}])
def test_metadata(tmp_path, suffix, metadata):
    save({"a": np.ones(2)}, tmp_path / f"s{suffix}", metadata)
    assert load_metadata(tmp_path / f"s{suffix}") == (metadata or {})
    assert list(load(tmp_path / f"s{suffix}")) == ["a"]
    save({}, tmp_path / f"empty{suffix}", metadata)
    assert load(tmp_path / f"empty{suffix}") == {}
    assert load_metadata(tmp_path / f"empty{suffix}") == (metadata or {})


@BOTH
def test_the_same_state_gives_the_same_bytes(tmp_path, suffix):
    for number in range(5):
        metadata = {f"key {i}": "ä\x7f\n/" for i in range(6)}
        save({"b": np.ones(3), "a": np.zeros(2, int)}, tmp_path / f"{number}{suffix}", metadata)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
    assert load_metadata(tmp_path / f"0{suffix}") == metadata


def test_safetensors_are_pytorchs(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    theirs = {
        "fc.weight": torch.randn(3, 4),
        "fc.steps": torch.tensor(12),
        "half": torch.randn(2).half(),
        "mask": torch.tensor([True, False]),
        "none": torch.empty(0, 5, dtype=torch.float64),
    }
    save_file(theirs, tmp_path / "theirs.safetensors", {"format": "pt"})
    ours = load(tmp_path / "theirs.safetensors")
    assert load_metadata(tmp_path / "theirs.safetensors") == {"format": "pt"}
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert_same(ours[name].numpy(), tensor.numpy())
    save(ours, tmp_path / "ours.safetensors")
    back = load_file(tmp_path / "ours.safetensors")
    assert back.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert back[name].dtype == tensor.dtype and torch.equal(back[name], tensor)

    save_file({"fc.weight": torch.ones(2, dtype=torch.bfloat16)}, tmp_path / "bf16.safetensors")
    with pytest.raises(ValueError, match=r"bf16\.safetensors.*'fc\.weight' in dtype BF16.*F32"):
        load(tmp_path / "bf16.safetensors")


def test_npz_is_numpys(tmp_path):
    save({"w": np.arange(6.0).reshape(2, 3)}, tmp_path / "ours.npz")
    with np.load(tmp_path / "ours.npz", allow_pickle=False) as archive:
        assert_same(archive["w"], np.arange(6.0).reshape(2, 3))
    for write in (np.savez, np.savez_compressed):
        write(tmp_path / "theirs.npz", w=np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)))
        assert_same(load(tmp_path / "theirs.npz")["w"].numpy(), np.arange(6, dtype=np.int16).reshape(2, 3))


# ---- what cannot be saved


@BOTH
@pytest.mark.parametrize(
    "value",
    [object(), np.array([object()]), np.array("text"), 1j, {3}, b"bytes", np.float32,
     np.ones(1, np.complex64), np.ones(1, "f4,i4"), np.array("2020", "M8")],
    ids=str,
)  # fmt: skip
def test_values_that_are_not_arrays(tmp_path, suffix, value):
    with pytest.raises(TypeError, match=r"'layer\.weight'"):
        save({"fine": np.ones(1), "layer.weight": value}, tmp_path / f"s{suffix}")
    assert list(tmp_path.iterdir()) == []


@BOTH
@pytest.mark.parametrize("name", ["", "__metadata__", "../up", "a/../../b", "/etc/x", "..\\up", "nul\0", "\ud800"])
def test_names_that_are_refused(tmp_path, suffix, name):
    with pytest.raises(ValueError, match="save: the name"):
        save({name: np.ones(1)}, tmp_path / f"s{suffix}")


@BOTH
def test_wrong_types_of_arguments(tmp_path, suffix):
    path = tmp_path / f"s{suffix}"
    with pytest.raises(TypeError, match="the key \\(1, 2\\) is a tuple"):
        save({(1, 2): np.ones(1)}, path)
    with pytest.raises(TypeError, match="'epoch': 3"):
        save({}, path, {"epoch": 3})
    with pytest.raises(TypeError, match="metadata is a list"):
        save({}, path, ["epoch"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["model.pt", "model", "model.npz.bak", ".npz", "model.NPZ"])
def test_other_names_hold_safetensors(tmp_path, name):
    save({"w": np.ones(2)}, tmp_path / name)
    assert safetensors.numpy.load((tmp_path / name).read_bytes())["w"].tolist() == [1, 1]
    assert load(tmp_path / name)["w"].tolist() == [1, 1]


def test_pytorchs_pickles_are_refused_with_the_way_out(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"w": torch.ones(2)}, tmp_path / "model.pt")
    refused(tmp_path / "model.pt", r"a pickle.*safetensors\.torch\.save_file")


# ---- files that cannot be trusted


def refused(path, match=None):
    """`load` refuses the file with a ValueError that names it and says what was wanted."""
    with pytest.raises(ValueError, match=match) as caught:
        load(path)
    assert str(path) in str(caught.value) and "wanted" in str(caught.value)


def with_header(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


ONE = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
BAD_SAFETENSORS = {
    "empty": (b"", "found 0 bytes"),
    "short": (b"\1\2\3", "found 3 bytes"),
    "text": (b"<!DOCTYPE html><html></html>", "header of"),
    "pickle": (pickle.dumps({"w": [1.0]}), "header of"),
    "zip": (b"PK\3\4" + b"\0" * 60, "header of"),
    "huge header": (struct.pack("<Q", 2**62) + b"{}", "header of"),
    "not json": (with_header(b"{nope"), "damaged or foreign"),
    "not an object": (with_header([1, 2]), "is a list"),
    "deep json": (with_header(b"[" * 200_000), "damaged or foreign"),
    "not utf-8": (with_header(b'{"\xff": 1}'), "damaged or foreign"),
    "entry is no object": (with_header({"w": 3}), "damaged or foreign"),
    "no dtype": (with_header({"w": {"shape": [1]}}), "damaged or foreign"),
    "twice": (with_header(f'{{"w":{ONE},"w":{ONE}}}'.encode(), b"\0" * 4), "'w' twice"),
    "truncated": (with_header({"w": entry([2], 0, 8)}, b"\0" * 4), "damaged or foreign"),
    "trailing": (with_header({"w": entry([1], 0, 4)}, b"\0" * 5), "damaged or foreign"),
    "wrong size": (with_header({"w": entry([3], 0, 8)}, b"\0" * 8), "damaged or foreign"),
    "overlap": (with_header({"v": entry([1], 0, 4), "w": entry([1], 0, 4)}, b"\0" * 4), "damaged or foreign"),
    "negative": (with_header({"w": entry([-1, -1], 0, 4)}, b"\0" * 4), "damaged or foreign"),
    "overflow": (with_header({"w": entry([2**62, 4], 0, 0)}), "damaged or foreign"),
    "empty but huge": (with_header({"w": entry([0, 2**62], 0, 0)}), "damaged or foreign"),
    "too many axes": (with_header({"w": entry([1] * 100, 0, 4)}, b"\0" * 4), "damaged or foreign"),
    "bfloat16": (with_header({"w": entry([1], 0, 2, "BF16")}, b"\0" * 2), "'w' in dtype BF16"),
    "float8": (with_header({"w": entry([1], 0, 1, "F8_E4M3")}, b"\0"), "'w' in dtype F8_E4M3"),
    "unknown dtype": (with_header({"w": entry([1], 0, 4, "O")}, b"\0" * 4), "'w' in dtype O"),
    "escaping name": (with_header({"../w": entry([1], 0, 4)}, b"\0" * 4), "leave its folder"),
    "metadata": (with_header({"__metadata__": {"a": 1}}), "not text"),
}


@pytest.mark.parametrize("case", BAD_SAFETENSORS)
def test_bad_safetensors(tmp_path, case):
    content, match = BAD_SAFETENSORS[case]
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    refused(path, match)


def npy(array=None, *, header=None, data=b""):
    """The bytes of an .npy file, or of one whose header says `header`."""
    buffer = io.BytesIO()
    if header is None:
        np.lib.format.write_array(buffer, array, allow_pickle=True)
    else:
        text = header.encode()
        buffer.write(b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + data)
    return buffer.getvalue()


def archive(members, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in members:
            file.writestr(zipfile.ZipInfo(name), content, compress_type=compression)
    return buffer.getvalue()


class Exploit:
    """Unpickling one calls `os.mkdir`, so a test can see whether anything was unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def npy_header(shape, descr="<f4"):
    return npy(header=f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}}}", data=b"\0" * 4)


FINE = npy(np.ones(1, np.float32))
BAD_NPZ = {
    "empty": (b"", "damaged or foreign"),
    "text": (b"not an archive", "damaged or foreign"),
    "bare npy": (FINE, "damaged or foreign"),
    "foreign member": (archive([("readme.txt", b"hello")]), "'readme.txt'"),
    "folder": (archive([("a/", b"")]), "'a/'"),
    "not an npy": (archive([("w.npy", b"hello world")]), "damaged or foreign"),
    "cut npy": (archive([("w.npy", FINE[:-1])]), "found 3 bytes for 'w'; wanted 4"),
    "long npy": (archive([("w.npy", FINE + b"\0")]), "found 5 bytes for 'w'; wanted 4"),
    "huge shape": (archive([("w.npy", npy_header("(1000000, 1000000)"))]), "found 4 bytes for 'w'"),
    "overflowing shape": (archive([("w.npy", npy_header(f"({2**62}, 4)"))]), "found 4 bytes for 'w'"),
    "negative shape": (archive([("w.npy", npy_header("(-1, -1)"))]), "found 4 bytes for 'w'"),
    "hostile header": (archive([("w.npy", npy(header="(" * 9000))]), "damaged or foreign"),
    "object header": (archive([("w.npy", npy_header("(1,)", "|O"))]), "'w' in dtype object"),
    "text array": (archive([("w.npy", npy(np.array("abc")))]), "'w' in dtype <U3"),
    "complex array": (archive([("w.npy", npy(np.ones(1, complex)))]), "'w' in dtype complex128"),
    "escaping name": (archive([("../../w.npy", FINE)]), "leave its folder"),
    "absolute name": (archive([("/etc/w.npy", FINE)]), "leave its folder"),
    "unnamed": (archive([(".npy", FINE)]), "is empty"),
    "lzma": (archive([("w.npy", FINE)], zipfile.ZIP_LZMA), "compression 14"),
    "bzip2": (archive([("w.npy", FINE)], zipfile.ZIP_BZIP2), "compression 12"),
}


@pytest.mark.parametrize("case", BAD_NPZ)
def test_bad_npz(tmp_path, case):
    content, match = BAD_NPZ[case]
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    refused(path, match)


def test_pickled_objects_are_never_unpickled(tmp_path):
    witness = tmp_path / "unpickled"
    path = tmp_path / "evil.npz"
    path.write_bytes(archive([("w.npy", npy(np.array([Exploit(str(witness))], object)))]))
    refused(path, "'w' in dtype object")
    (tmp_path / "evil.safetensors").write_bytes(pickle.dumps(Exploit(str(witness))))
    refused(tmp_path / "evil.safetensors")
    assert not witness.exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")  # zipfile warns while the test writes the bad file
def test_npz_with_a_name_twice(tmp_path):
    path = tmp_path / "twice.npz"
    path.write_bytes(archive([("w.npy", FINE), ("w.npy", npy(np.zeros(1, np.float32)))]))
    refused(path, "'w' twice")


def test_npz_with_bad_metadata(tmp_path):
    path = tmp_path / "metadata.npz"
    path.write_bytes(archive([("__metadata__.npy", npy(np.frombuffer(b'{"epoch": 3}', np.uint8)))]))
    with pytest.raises(ValueError, match=r"metadata\.npz.*not text"):
        load_metadata(path)


def test_zip_bomb_is_refused_before_memory_is_asked(tmp_path):
    path = tmp_path / "bomb.npz"
    size = 1 << 30
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({size},)}}".encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, file.open("w.npy", "w") as member:
        member.write(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header)
        for _ in range(size >> 24):
            member.write(bytes(1 << 24))
    tracemalloc.start()
    refused(path, "unpack to")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_npz_with_overlapping_members_is_refused(tmp_path):
    """The better bomb: many directory entries that share one member's bytes."""
    content = bytearray(archive([("a.npy", npy(np.zeros(200))), ("b.npy", npy(np.zeros(200)))]))
    second = content.rindex(b"PK\1\2")
    content[second + 42 : second + 46] = struct.pack("<I", 0)  # b.npy's bytes are now said to be a.npy's ...
    first_end = content.index(b"PK\3\4", 4)
    del content[first_end : content.index(b"PK\1\2")]  # ... and its own are cut out
    end = content.rindex(b"PK\5\6")
    content[end + 16 : end + 20] = struct.pack("<I", first_end)
    (tmp_path / "overlap.npz").write_bytes(content)
    refused(tmp_path / "overlap.npz", "claim to hold")


def test_checksums_are_checked(tmp_path):
    path = tmp_path / "flipped.npz"
    save({"w": np.arange(100.0)}, path)
    content = bytearray(path.read_bytes())
    content[content.index(np.float64(50).tobytes())] ^= 1
    path.write_bytes(content)
    refused(path, "CRC")


def sample(suffix, folder):
    path = folder / f"sample{suffix}"
    save({"a": np.arange(12, dtype=np.float32).reshape(3, 4), "b": np.array(3)}, path, {"epoch": "3"})
    return path.read_bytes()


@BOTH
def test_every_truncation_is_refused(tmp_path, suffix):
    content = sample(suffix, tmp_path)
    path = tmp_path / f"cut{suffix}"
    for length in range(len(content)):
        path.write_bytes(content[:length])
        refused(path)


@BOTH
def test_random_damage_raises_nothing_else(tmp_path_factory, suffix):
    folder = tmp_path_factory.mktemp("damage")
    content = sample(suffix, folder)
    path = folder / f"damaged{suffix}"

    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), min_size=1, max_size=4))
    def check(changes):
        damaged = bytearray(content)
        for position, byte in changes:
            damaged[position] = byte
        path.write_bytes(damaged)
        for read in (load, load_metadata):
            survives(read)

    def survives(read):
        try:
            read(path)  # damage may hit numbers, for which a .safetensors file holds no checksum
        except ValueError as error:
            assert str(path) in str(error)

    check()


@BOTH
def test_missing_files_folders_and_devices(tmp_path, suffix):
    for read in (load, load_metadata):
        with pytest.raises(FileNotFoundError, match=r"cannot load a state dict.*nowhere"):
            read(tmp_path / f"nowhere{suffix}")
    (tmp_path / f"folder{suffix}").mkdir()
    refused(tmp_path / f"folder{suffix}", "folder or device")


# ---- nothing half-written


class Full(io.FileIO):
    """A file on a disk that fills after 100 bytes."""

    def write(self, data):
        if self.tell() + len(data) > 100:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


@BOTH
@pytest.mark.parametrize("old", [None, b"the old file"])
def test_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, suffix, old):
    path = tmp_path / f"s{suffix}"
    if old:
        path.write_bytes(old)
    monkeypatch.setattr(files, "open", lambda name, mode: Full(name, mode), raising=False)
    with pytest.raises(OSError, match="No space left") as caught:
        save({"a": np.ones(1000)}, path)
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(path)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == ([old] if old else [])


def test_unwritable_targets_are_named(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        save({}, tmp_path / "nowhere" / "s.npz")
    assert caught.value.filename == str(tmp_path / "nowhere" / "s.npz")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(OSError, match=r"folder\.npz'$"):
        save({}, tmp_path / "folder.npz")
    assert [p.name for p in tmp_path.iterdir()] == ["folder.npz"]

"""Writes files as ``torch.save`` does, without PyTorch."""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np

STORAGES = {"f2": "Half", "f4": "Float", "f8": "Double", "i8": "Long", "u1": "Byte", "c8": "ComplexFloat"}


class Global:
    """A class or function that only a pickle names."""

    def __init__(self, module, name):
        self.module, self.name = module, name

    def __call__(self):
        raise AssertionError("never called")


class Made:
    """An object that a pickle makes by calling a global."""

    def __init__(self, function, *arguments, state=None):
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.reduced

    def __call__(self):
        raise AssertionError("never called")


class Storage:
    """The numbers of a tensor."""

    def __init__(self, array, kind=None, key="0"):
        self.kind = kind or STORAGES[array.dtype.str[1:]]
        self.numbers, self.key, self.content = array.size, key, array.tobytes()
        if kind == "BFloat16":
            self.content = (array.view(np.uint32) >> 16).astype(np.uint16).tobytes()


class Pickler(pickle._Pickler):
    """Arrays become tensors; their storages are kept in a list."""

    def __init__(self, file, kind, legacy):
        super().__init__(file, protocol=2)
        self.kind, self.legacy, self.storages = kind, legacy, []

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Global):
            self.write(f"c{obj.module}\n{obj.name}\n".encode())
        else:
            super().save(obj, save_persistent_id)

    def persistent_id(self, obj):
        if isinstance(obj, Storage):
            if obj not in self.storages:
                self.storages.append(obj)
            view = (None,) if self.legacy else ()
            return ("storage", Global("torch", f"{obj.kind}Storage"), obj.key, "cpu", obj.numbers, *view)
        return None

    def reducer_override(self, obj):
        if type(obj) is not np.ndarray:
            return NotImplemented
        base = np.array(obj, order="C")
        storage = Storage(base, self.kind if base.dtype.kind == "f" else None, str(len(self.storages)))
        strides = tuple(stride // base.itemsize for stride in base.strides)
        rebuild = Global("torch._utils", "_rebuild_tensor_v2")
        return rebuild, (storage, 0, base.shape, strides, False, OrderedDict())


def save(content, path, *, legacy=False, kind=None):
    """Write ``content``; ``kind`` is the type of floating-point storages, such as ``BFloat16``."""
    file = io.BytesIO()
    if legacy:
        for entry in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            file.write(pickle.dumps(entry, protocol=2))
    pickler = Pickler(file, kind, legacy)
    pickler.dump(content)
    if legacy:
        file.write(pickle.dumps([storage.key for storage in pickler.storages], protocol=2))
        for storage in pickler.storages:
            file.write(struct.pack("<q", storage.numbers) + storage.content)
        path.write_bytes(file.getvalue())
        return path
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", file.getvalue())
        archive.writestr("archive/byteorder", "little")
        for storage in pickler.storages:
            archive.writestr(f"archive/data/{storage.key}", storage.content)
    return path

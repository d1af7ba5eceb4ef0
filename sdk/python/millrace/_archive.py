"""Modules that a component carries as source: an instance cannot read files, and much is imported
late. Python's own library, and the packages of which the project imports a part."""

import importlib.machinery
import io
import json
import marshal
import os
import sys
import zlib

# Python's own library; `os` itself is frozen and names no folder that is there.
MODULES = os.path.dirname(os.path.dirname(json.__file__))
# Parts of Python's library that no function imports.
LEFT_OUT = {
    "__pycache__", "ensurepip", "idlelib", "lib-dynload", "pydoc_data", "site-packages", "test", "tkinter", "turtledemo", "venv",
}


class Archive:
    """Finds modules in what was packed: their source, or with `compiled` their code, which takes seconds
    more to pack and is imported some ten times as fast."""

    def __init__(self, compiled=False):
        self.packed = {}
        self.compiled = compiled

    def pack(self, folder, under=""):
        """Packs the modules of a folder; `under` is the package that the folder is."""
        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name)
            if name in LEFT_OUT:
                continue
            if os.path.isdir(path):
                if name.isidentifier():
                    self.pack(path, f"{under}{name}.")
            elif name.endswith(".py"):
                with open(path, "rb") as file:
                    source = file.read()
                content = zlib.compress(self.code(source, path) if self.compiled else source)
                module = under.removesuffix(".") if name == "__init__.py" else under + name.removesuffix(".py")
                if module:
                    self.packed[module] = (content, path, name == "__init__.py")

    def code(self, source, path):
        """The packed code of a source; of a wrong one, an example in some package, that it is wrong."""
        try:
            return marshal.dumps(compile(source, path, "exec", dont_inherit=True))
        except SyntaxError:
            return marshal.dumps(compile(f"raise SyntaxError({path!r})", path, "exec"))

    def pack_packages(self, names):
        """Packs the packages of these modules, Python's own aside."""
        for top in sorted({name.split(".")[0] for name in names}):
            for folder in getattr(sys.modules.get(top), "__path__", ()):
                if not folder.startswith(MODULES):
                    self.pack(folder, top + ".")

    def find_spec(self, name, path=None, target=None):
        if name not in self.packed:
            return None
        _, file, package = self.packed[name]
        return importlib.machinery.ModuleSpec(name, self, origin=file, is_package=package)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        content, file, _ = self.packed[module.__spec__.name]
        content = zlib.decompress(content)
        code = marshal.loads(content) if self.compiled else compile(content, file, "exec", dont_inherit=True)
        exec(code, module.__dict__)


def zones():
    """Lets `zoneinfo` have the zones of the package `tzdata` as they are while the component is built."""
    import zoneinfo
    import zoneinfo._common

    try:
        import tzdata
    except ImportError:
        return
    root = os.path.join(os.path.dirname(tzdata.__file__), "zoneinfo")
    packed = {}
    for folder, _, names in os.walk(root):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                content = file.read()
            if content[:4] == b"TZif":
                packed[os.path.relpath(os.path.join(folder, name), root).replace(os.sep, "/")] = zlib.compress(content)

    def load_tzdata(key):
        if key not in packed:
            raise zoneinfo.ZoneInfoNotFoundError(f"No time zone found with key {key}")
        return io.BytesIO(zlib.decompress(packed[key]))

    zoneinfo._common.load_tzdata = load_tzdata

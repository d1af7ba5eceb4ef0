"""The project's own source: it was compiled into the component, or lies in a setting, and runs when
an instance starts, as a Lambda's module does. What it imports was imported while the component was
built: an instance cannot read files."""

import ast
import importlib
import importlib.machinery
import importlib.util
import json
import linecache
import sys

# Modules that Python itself imports late: here before an instance starts, so that it need not.
LATE = (
    "_strptime base64 copy decimal encodings.ascii encodings.idna encodings.latin_1 encodings.utf_8_sig json re string textwrap"
    " traceback uuid zlib"
)


class Finder:
    """Imports the project's modules from its source."""

    def __init__(self, files):
        self.code = {}
        self.files = files

    def path_of(self, name):
        """The file of a module, or None."""
        path = name.replace(".", "/")
        return next((file for file in (path + ".py", path + "/__init__.py") if file in self.files), None)

    def find_spec(self, name, path=None, target=None):
        file = self.path_of(name)
        package = file is not None and file.endswith("/__init__.py")
        if file is None:
            # A folder without __init__.py is a package, too.
            if not any(known.startswith(name.replace(".", "/") + "/") for known in self.files):
                return None
            package = True
        spec = importlib.machinery.ModuleSpec(name, self, origin=file, is_package=package)
        spec.has_location = False
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        file = module.__spec__.origin
        if file is None:
            return
        module.__file__ = file
        # Stacks show the source's lines; no time of change means that nobody looks for the file.
        text = self.files[file]
        linecache.cache[file] = (len(text), None, text.splitlines(True), file)
        exec(self.compiled(file), module.__dict__)

    def compiled(self, file):
        """The code of a file, compiled once."""
        if file not in self.code:
            self.code[file] = compile(self.files[file], file, "exec", dont_inherit=True)
        return self.code[file]


def imports(files, own):
    """The names of what the files import, the project's own modules aside: those that a plain `import`
    names anywhere, in functions too."""
    finder, found = Finder(own), set()
    for file, text in files.items():
        for node in ast.walk(ast.parse(text, file)):
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add(node.module)
                found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return sorted(name for name in found if finder.find_spec(name.split(".")[0]) is None)


def preload(names):
    """Imports what can be imported. What cannot is missed when the function imports it, as it would
    be in Lambda: an `import` inside a `try` may well fail."""
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
        except Exception as error:
            print(f"importing {name}: {type(error).__name__}: {error}", file=sys.stderr)


def from_setting(text, main):
    """Main file and files of MILLRACE_SOURCE: the source itself, or what `build.py --bundle` wrote."""
    if text.lstrip().startswith("{"):
        bundle = json.loads(text)
        return bundle["main"], bundle["files"]
    return main, {main: text}


def load(finder, archive, main):
    """Runs the project's main file and answers its module."""
    sys.meta_path[:] = [finder, importlib.machinery.BuiltinImporter, importlib.machinery.FrozenImporter, archive]
    name = main.removesuffix("/__init__.py").removesuffix(".py").replace("/", ".")
    return importlib.import_module(name)

"""The component's own module: the world's export over the project's function."""

# Before everything else: modules must not take the originals of what is replaced.
from millrace import _sandbox as sandbox

sandbox.install()

import gc
import sys

import wit_world
from componentize_py_types import Err
from millrace import _archive, _host, _lambda, _outcome, _project, _streams
from millrace._batch import Batch
from millrace_project import PROJECT

KIND, MAIN, DEV = PROJECT["kind"], PROJECT["main"], PROJECT["dev"]
FINDER = _project.Finder({} if DEV else PROJECT["files"])
ARCHIVE = _archive.Archive(compiled=DEV)


def prepare():
    """What can be done once, while the component is built."""
    files = PROJECT["files"]
    names = []
    for file in sorted(files):
        try:
            FINDER.compiled(file) if not DEV else None
            names += _project.imports({file: files[file]}, files)
        except SyntaxError as error:
            stop(f"{error.filename}:{error.lineno or 1}: {error.msg}")
    _project.preload(_project.LATE.split() + names)
    _archive.zones() if "zoneinfo" in sys.modules else None
    ARCHIVE.pack(_archive.MODULES)
    ARCHIVE.pack_packages(["millrace", *names])
    gc.collect()
    gc.freeze()


def stop(message):
    """Ends the build with an error of the user's."""
    print("MILLRACE-ERROR: " + message, file=sys.stderr)
    raise SystemExit(1)


class Instance:
    """What an instance makes of the project when its first call comes."""

    module = None
    handler = None
    finder = FINDER
    main = MAIN
    failure = None

    def start(self):
        """Loads the project once; what it raised is every call's failure."""
        if self.module is None and self.failure is None:
            sandbox.start()
            try:
                self.load()
            except _lambda.Failure as failure:
                self.failure = failure
            except BaseException as error:
                self.failure = _lambda.not_loaded(error, self.main.removesuffix(".py"))
        if self.failure is not None:
            raise self.failure

    def load(self):
        if DEV:
            text = _host.setting("MILLRACE_SOURCE")
            if text is None:
                raise _lambda.Failure("Runtime.ImportModuleError", "the setting MILLRACE_SOURCE is not set")
            self.main, files = _project.from_setting(text, MAIN)
            self.finder = _project.Finder(files)
        if KIND == "handler" and self.main in self.finder.files:
            _streams.handler = _lambda.named(self.main.removesuffix(".py"), self.finder.compiled(self.main))
        module = _project.load(self.finder, ARCHIVE, self.main)
        if KIND == "handler":
            self.handler = _lambda.find(module, self.main.removesuffix(".py"))
        elif not _outcome.marked():
            raise _lambda.Failure("Runtime.HandlerNotFound", f"{self.main}: no function has @transform")
        self.module = module


INSTANCE = Instance()


def answer(call, words):
    """What `call` answers; a failure becomes the world's error in the words of `words`."""
    try:
        INSTANCE.start()
        return call()
    except _lambda.Failure as failure:
        if failure.stack:
            _host.log("error", f"{failure.kind}: {failure.message}\n" + "".join(failure.stack))
        # Half a surrogate pair is no text of the world.
        raise Err(words(failure).encode("utf-8", "replace").decode()) from None
    finally:
        sandbox.end()


class WitWorld:
    """The world's exports; only that of the project's kind is called."""

    def transform(self, batch):
        columns = (batch.payload, batch.ends, batch.arrivals_ms, batch.keys, batch.key_ends, batch.first_sequence)

        def call():
            try:
                return _outcome.run(Batch(*columns))
            except SystemExit as error:
                raise _lambda.exited(error) from None
            except BaseException as error:
                raise _lambda.raised(error) from error

        out = answer(call, lambda failure: f"{failure.kind}: {failure.message}")
        from wit_world.imports import types

        failures = [types.Failure(index, reason) for index, reason in out.failures]
        names, values, ends = out.partitions()
        return types.Output(out.payload, out.ends, out.sources, failures, names, values, ends)

    def handle(self, event):
        def call():
            context = _lambda.Context(_host.current(), _host.now_ms)
            return _lambda.invoke(INSTANCE.handler, event, context)

        return answer(call, lambda failure: failure.json(_host.current().request_id))


prepare()

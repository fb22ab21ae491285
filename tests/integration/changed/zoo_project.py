"""A repository whose specs depend on files, folders, variables and libraries in every way that we know of."""

from __future__ import annotations

import _lsprof
import re
import shutil
from pathlib import Path

from tests.integration.project import Project, RunResult

FILES = {
    "pytest.ini": "[pytest]\npythonpath = site lib\n",
    "zoo/__init__.py": "",
    "zoo/layers/__init__.py": "",
    "zoo/layers/helper.py": "def width(): return 4\n",
    "zoo/layers/base.py": "from torch import nn\nclass Base(nn.Module):\n    def forward(self, x): return self.fc(x)\n",
    "zoo/blocks.py": """
        from torch import nn
        from .layers import helper
        def block(): return nn.Linear(4, helper.width())
        """,
    "zoo/deep.py": "from zoo.blocks import block as make\n",
    "zoo/derived.py": """
        from torch import nn
        from zoo.layers.base import Base
        class make(Base):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 4)
        """,
    "zoo/configured.py": """
        from pathlib import Path
        import yaml
        from torch import nn
        def _build(name):
            return nn.Linear(4, yaml.safe_load((Path(__file__).parent / "conf" / name).read_text())["width"])
        def small(): return _build("small.yaml")
        def large(): return _build("large.yaml")
        """,
    "zoo/conf/small.yaml": "width: 4\n",
    "zoo/conf/large.yaml": "width: 4\n",
    "zoo/cached.py": """
        import functools
        from pathlib import Path
        from torch import nn
        @functools.lru_cache
        def _width(): return int(Path(__file__).with_name("width.txt").read_text().split()[0])
        def one(): return nn.Linear(4, _width())
        def other(): return nn.Sequential(nn.Linear(4, _width()))
        """,
    "zoo/width.txt": "4\n",
    "zoo/by_data.py": """
        from pathlib import Path
        import numpy
        import torch
        from torch import nn
        def make():
            layer = nn.Linear(4, 4)
            layer.register_buffer("table", torch.tensor(numpy.fromfile(Path(__file__).with_name("table.bin"), "u1")))
            return layer
        """,
    "zoo/table.bin": "01234567",
    "zoo/by_variable.py": """
        import os
        from torch import nn
        def make(): return nn.Linear(4, int(os.environ.get("ZOO_WIDTH", "4")))
        """,
    "zoo/flags.py": "import os\nFLAG = os.getenv('ZOO_FLAG', '')\n",
    "zoo/flagged.py": """
        from torch import nn
        from zoo import flags
        def make(): return nn.Linear(4, 4, bias=not flags.FLAG)
        """,
    "zoo/flagged_too.py": "from zoo.flagged import make\n",
    "zoo/lazily.py": """
        from torch import nn
        def lazy():
            from zoo.rare import layer
            return layer()
        def lazy_too():
            from zoo import rare
            return rare.layer()
        def plain(): return nn.Linear(4, 4)
        """,
    "zoo/rare.py": "from torch import nn\ndef layer(): return nn.Linear(4, 4)\n",
    "zoo/by_name.py": """
        import importlib
        from torch import nn
        def first(): return importlib.import_module("zoo.parts.first").layer()
        def second(): return importlib.import_module(".parts.second", __package__).layer()
        """,
    "zoo/parts/first.py": "from torch import nn\ndef layer(): return nn.Linear(4, 4)\n",
    "zoo/parts/second.py": "from zoo.parts.first import layer\n",
    "zoo/by_file.py": """
        import importlib.util
        from pathlib import Path
        def make():
            spec = importlib.util.spec_from_file_location("anything", Path(__file__).with_name("loose_file.py"))
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module.layer()
        """,
    "zoo/loose_file.py": "from torch import nn\ndef layer(): return nn.Linear(4, 4)\n",
    "zoo/by_library.py": "from torch import nn\nimport widelib\ndef make(): return nn.Linear(4, widelib.WIDTH)\n",
    "site/widelib.py": "WIDTH = 4\nREGISTRY = {}\n",
    "site/widelib-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: widelib\nVersion: 1.0\n",
    "site/widelib-1.0.dist-info/RECORD": "widelib.py,,\nwidelib-1.0.dist-info/METADATA,,\n",
    "zoo/by_extension.py": "from torch import nn\nfrom zoo import _lsprof\ndef make(): return nn.Linear(4, 4)\n",
    "zoo/version_1.py": "WIDTH = 4\n",
    "zoo/version_2.py": "WIDTH = 4\n",
    "zoo/by_link.py": "from torch import nn\nfrom zoo import version\ndef make(): return nn.Linear(4, version.WIDTH)\n",
    "zoo/by_tool.py": "from torch import nn\nimport tool\ndef make(): return nn.Linear(4, tool.WIDTH)\n",
    "lib/tool.py": "WIDTH = 4\n",
    "zoo/by_listing.py": """
        from pathlib import Path
        from torch import nn
        FOLDER = Path(__file__).with_name("pieces")  # for "pieces/*.txt" Python 3.12 lists the one around it too
        def make(): return nn.Sequential(*(nn.Linear(4, 4) for _ in FOLDER.glob("*.txt")))
        """,
    "zoo/pieces/first.txt": "",
    "zoo/by_descriptor.py": """
        import os
        from torch import nn
        def make():
            folder = os.open(os.path.join(os.path.dirname(__file__), "depths"), os.O_RDONLY)
            file = os.open("one.txt", os.O_RDONLY, dir_fd=folder)
            width = int(os.read(file, 9))
            is_biased = os.access("two.txt", os.R_OK, dir_fd=folder)
            os.close(file)
            os.close(folder)
            return nn.Linear(4, width, bias=is_biased)
        """,
    "zoo/depths/one.txt": "4",
    "zoo/depths/two.txt": "",
    "zoo/by_existence.py": """
        import os
        from torch import nn
        def make(): return nn.Linear(4, 4, bias=not os.path.exists("no_bias"))
        """,
    "zoo/by_optional.py": """
        from pathlib import Path
        from torch import nn
        try:
            from zoo import fast_layer
        except ImportError:
            pass
        def make():
            try:
                return nn.Linear(4, int(Path(__file__).with_name("optional.txt").read_text()))
            except FileNotFoundError:
                return nn.Linear(4, 4)
        """,
    "zoo/optional.txt": "4",
    "zoo/registry.py": """
        LAYERS = {}
        def register(function):
            LAYERS[function.__name__] = function
            return function
        """,
    "zoo/registered.py": """
        from torch import nn
        from zoo.registry import LAYERS
        import zoo.plugins
        def make(): return LAYERS["wide"]()
        """,
    "zoo/plugins/__init__.py": """
        import pkgutil, importlib
        for module in pkgutil.iter_modules(__path__):
            importlib.import_module(f"{__name__}.{module.name}")
        """,
    "zoo/plugins/wide.py": """
        from torch import nn
        from zoo.registry import register
        @register
        def wide(): return nn.Linear(4, 4)
        """,
    "zoo/by_attribute.py": "import zoo\nimport zoo.lazy_package\ndef make(): return zoo.lazy_package.inner.layer()\n",
    "zoo/by_attribute_too.py": """
        import zoo
        import zoo.lazy_package
        def make(): return zoo.lazy_package.inner.layer()
        """,
    "zoo/lazy_package/__init__.py": """
        import importlib
        def __getattr__(name):
            if name == "inner":
                return importlib.import_module(f"{__name__}.inner")
            raise AttributeError(name)
        """,
    "zoo/lazy_package/inner.py": "from torch import nn\ndef layer(): return nn.Linear(4, 4)\n",
    "zoo/by_network.py": """
        import socket
        from torch import nn
        def make():
            try:
                socket.create_connection(("127.0.0.1", 9), timeout=0.1).close()
            except OSError:
                pass
            return nn.Linear(4, 4)
        """,
    "zoo/by_process.py": """
        import subprocess
        from torch import nn
        def make():
            subprocess.run(["true"])
            return nn.Linear(4, 4)
        """,
    "zoo/by_registry.py": """
        import widelib
        def make(): return widelib.REGISTRY["odd"]()
        """,
    "zoo/odd.py": """
        import widelib
        from torch import nn
        def odd(): return nn.Linear(4, 4)
        widelib.REGISTRY["odd"] = odd
        """,
    "zoo/imports_odd.py": "from zoo import odd\ndef make(): return odd.odd()\n",
    "zoo/by_processes.py": """
        import multiprocessing
        from torch import nn
        def make():
            process = multiprocessing.get_context("spawn").Process(target=print)
            process.start()
            process.join()
            return nn.Linear(4, 4)
        """,
    "alone/net.py": "from torch import nn\nimport beside\ndef make(): return nn.Linear(4, beside.WIDTH)\n",
    "alone/beside.py": "WIDTH = 4\n",
    "late/net.py": """
        from torch import nn
        class Net(nn.Linear):
            def __init__(self): super().__init__(4, 4)
            def forward(self, x):
                from late_beside import act
                return act(super().forward(x))
        """,
    "late/late_beside.py": "def act(x): return x.relu()\n",
}

SPECS = {
    "helper": "zoo.deep:make",
    "base": "zoo.derived:make",
    "small": "zoo.configured:small",
    "large": "zoo.configured:large",
    "cached": "zoo.cached:one",
    "cached-too": "zoo.cached:other",
    "data": "zoo.by_data:make",
    "variable": "zoo.by_variable:make",
    "flagged": "zoo.flagged:make",
    "flagged-too": "zoo.flagged_too:make",
    "lazy": "zoo.lazily:lazy",
    "lazy-too": "zoo.lazily:lazy_too",
    "plain": "zoo.lazily:plain",
    "first": "zoo.by_name:first",
    "second": "zoo.by_name:second",
    "file": "zoo.by_file:make",
    "library": "zoo.by_library:make",
    "extension": "zoo.by_extension:make",
    "link": "zoo.by_link:make",
    "tool": "zoo.by_tool:make",
    "listing": "zoo.by_listing:make",
    "descriptor": "zoo.by_descriptor:make",
    "existence": "zoo.by_existence:make",
    "optional": "zoo.by_optional:make",
    "registered": "zoo.registered:make",
    "attribute": "zoo.by_attribute:make",
    "attribute-too": "zoo.by_attribute_too:make",
    "a-registered": "zoo.imports_odd:make",
    "by-registry": "zoo.by_registry:make",
    "alone": "../alone/net.py:make",
    "late": "../late/net.py:Net",
}
UNKNOWN = {"network": "zoo.by_network:make", "process": "zoo.by_process:make", "processes": "zoo.by_processes:make"}
SPEC = "build: {}\ninput: [B, 4]\noutput: [B, 4]\nhealth: off\nfunction: off\n"
OF_ZOO = set(SPECS) - {"alone", "late"}


def write_zoo(project: Project) -> None:
    """Write the repository, with a link and a C extension."""
    for name, text in FILES.items():
        project.write(name, text)
    (project.path / "zoo" / "version.py").symlink_to("version_1.py")
    shutil.copy(_lsprof.__file__, project.path / "zoo")  # a file of its own in Debian's Python, too
    for name, build in {**SPECS, **UNKNOWN}.items():
        project.spec(name, SPEC.format(build))


def edit(path: Path) -> None:
    """Add a line that changes nothing. Within a second, only another size tells Python that its bytecode is stale."""
    with path.open("ab") as file:
        file.write(b"\n" if path.suffix in (".yaml", ".txt") else b"# edited\n")


def run_changed(project: Project, *args: str) -> RunResult:
    """Run `pytest --archcheck --archcheck-changed -v ARGS`, in a process of its own, as modules are imported once."""
    plugins = [option for plugin in project.plugins for option in ("-p", plugin)]
    return project.pytest_elsewhere(*plugins, "--archcheck", "--archcheck-changed", "-v", *args)


def verified(result: RunResult) -> set[str]:
    """Return the names of the specs that a run has verified."""
    return set(re.findall(r"^specs/(\S+)\.arch\.yaml::\w+ (?:PASSED|FAILED|SKIPPED)", result.stdout.str(), re.M))

"""An installation without extras, as the README's first command makes it: Python finds none of their packages."""

import sys
from importlib.machinery import PathFinder

EXTRAS = {"peft", "bitsandbytes", "torchao", "yt_dlp"}


class WithoutExtras(PathFinder):
    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        return None if fullname.partition(".")[0] in EXTRAS else super().find_spec(fullname, path, target)


sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutExtras

"""The statistics need numpy and scipy alone, and their public names are the promised ones."""

import subprocess
import sys

import safebench.stats as stats

# Everything but the standard library, numpy and scipy is out of reach, as if it were not installed.
PROGRAM = """
import sys
KNOWN = set(sys.stdlib_module_names) | {'safebench', 'numpy', 'scipy'}
class Wall:
    def find_spec(self, name, path=None, target=None):
        root = name.partition('.')[0]
        if root in KNOWN or root.startswith('_'):
            return None
        raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Wall())
import safebench.stats
roots = {name.partition('.')[0] for name in sys.modules}
print({'numpy', 'scipy'} <= roots, 'pandas' in roots, 'scipy.stats' in sys.modules)
print(safebench.stats.sigma_upper(1, 3) > 4)
"""


def test_only_numpy_and_scipy_are_imported():
    # -S keeps site packages' .pth files from importing things of their own
    path = [p for p in sys.path if p]
    code = f"import sys; sys.path[:0] = {path!r}\n{PROGRAM}"
    result = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines() == ["True False False", "True"]


def test_all_names_exist_and_are_documented():
    for name in stats.__all__:
        assert getattr(stats, name).__doc__, name
    public = {
        name
        for name, value in vars(stats).items()
        if getattr(value, "__module__", "").startswith("safebench.stats") and name[0] != "_"
    }
    assert public == set(stats.__all__)

"""The same kernel files a second time, as compiled functions.

``tracekit.kernels.compiled.order`` is the file ``kernels/order.py`` imported under another name; `kernel` sees the
name and compiles. So a kernel may call helpers of its own file, or of a sibling by a relative import, in both forms.
"""

from pathlib import Path

__path__ = [str(Path(__file__).parent.parent)]

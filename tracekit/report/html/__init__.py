"""The HTML report: one self-contained offline page per analysis.

``data.py`` computes what the page shows as plain dicts and lists, ``events.py`` and ``charts.py`` the parts of it;
nothing there knows HTML. ``page.py`` embeds that as JSON, inert whatever it contains, together with the style, the
scripts and Plotly (compressed) from ``static/``. The scripts build the page from the JSON by text nodes only:

- ``dom.js``: elements, and text from traces made visible (control and direction-changing characters shown as codes);
- ``order.js``: happens-before among the events that the page carries, and their causal depth;
- ``spacetime.js``: the space-time diagram;
- ``panels.js``: what stands at the right: a violation, a check, the run;
- ``charts.js``: events over time and Raft terms, by Plotly;
- ``app.js``: header, list of checks, keys, switching.

A Content-Security-Policy forbids every request and every script but those of the page, by their hashes.
"""

from tracekit.report.html.page import render_report, write_report

__all__ = ["render_report", "write_report"]

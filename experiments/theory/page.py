"""The pages of the theory lab, from the folders of its cases: report.html, and one for the docs."""

import base64
import math
import pathlib
import re
import shutil
from typing import Any

import jinja2

from experiments.theory.insights import INSIGHTS
from gan.errors import UserError
from gan.report.page import style
from gan.system import schema
from gan.system.progress import say
from gan.system.schema import FLAG, NUMBER, POSITIVE, TEXT, entries, list_of, nullable
from gan.training.run_folder import writable_folder

# What the pages tell of a case that its result.json did not always hold.
TOLD = {"processor_seconds", "seeds"}
_CHECK = entries(
  {
    "quantity": TEXT,
    "ours": TEXT,
    "expected": TEXT,
    "source": TEXT,
    "passed": nullable(FLAG),
  }
)
_MACHINE = entries(
  {
    "time": schema.matching(r"\S+ .*", 'a time as in "2026-01-31 12:00:00 +0000"'),
    "processor": TEXT,
    "backend": TEXT,
    "devices": list_of(TEXT),
    "packages": entries({"jax": TEXT}),
    "git_commit": nullable(TEXT),
  }
)
_OUTCOME = entries(
  {
    "case": TEXT,
    "title": TEXT,
    "about": TEXT,
    "quick": FLAG,
    "seconds": NUMBER,
    "environment": _MACHINE,
    "error": nullable(TEXT),
    "checks": list_of(_CHECK),
    "notes": list_of(TEXT),
    "figures": list_of(schema.matching(r"[^/]+\.(png|gif)", "the name of a picture")),
  },
  {"seeds": nullable(POSITIVE), "processor_seconds": NUMBER, "cores": POSITIVE},
)
WORDS = {True: "pass", False: "FAIL", None: "reported"}

TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Theory lab</title>
<style>
{{ style | safe }}
th, td { text-align: left; white-space: normal; overflow-wrap: break-word; vertical-align: top }
.pass { color: var(--pass) } .FAIL { color: var(--fail); font-weight: bold }
:root { --pass: #11733b; --fail: #b00020 }
@media screen and (prefers-color-scheme: dark) { :root { --pass: #6fcf97; --fail: #ff8a80 } }
img { max-width: 100%; display: block; margin: 1rem 0 }
</style>
</head>
<body>
<h1>Theory lab</h1>
<p>What is known exactly of GANs, and toy results of the literature, by this library's own losses,
penalties, update rules and training step. A row without a criterion is reported.</p>
<div class="box" tabindex="0"><table>
<tr><th>case</th><th>criteria met</th><th>time</th></tr>
{% for case in cases %}
<tr><td><a href="#{{ case.case }}">{{ case.case }}</a>: {{ case.title }}</td>
<td class="{{ 'pass' if case.met == case.criteria and not case.error else 'FAIL' }}">
{{ case.verdict }}</td>
<td>{{ case.duration }}</td></tr>
{% endfor %}
</table></div>
{% for case in cases %}
<h2 id="{{ case.case }}">{{ case.case }}: {{ case.title }}</h2>
{% for paragraph in case.about.split("\n\n") %}<p>{{ paragraph }}</p>
{% endfor %}
{% if case.flags %}<p>Run with {{ case.flags }}.</p>{% endif %}
{% if case.error %}<p class="FAIL">Error: {{ case.error }}</p>{% endif %}
{% if case.checks %}
<div class="box" tabindex="0"><table>
<tr><th></th><th>ours</th><th>expected</th><th></th><th>source</th></tr>
{% for check in case.checks %}
<tr><td>{{ check.quantity }}</td><td>{{ check.ours }}</td>
<td>{{ check.expected }}</td>
<td class="{{ words[check.passed] }}">{{ words[check.passed] }}</td>
<td class="dim">{{ check.source }}</td></tr>
{% endfor %}
</table></div>
{% endif %}
{% for note in case.notes %}<p>{{ note }}</p>
{% endfor %}
{% for kind, name, image in case.images %}
<img alt="{{ case.title }}: {{ name }}" src="data:image/{{ kind }};base64,{{ image }}">
{% endfor %}
<p class="dim">{{ case.duration }}, {{ case.hardware }}</p>
{% endfor %}
</body>
</html>
"""


def read_outcomes(folder: pathlib.Path, names: list[str]) -> list[dict[str, Any]]:
  """Returns the result.json of every case that the folder holds, in the order of `names`.

  Those that are damaged, and those of an earlier version, which lack what the page tells, are left
  out with a line.
  """
  outcomes = []
  for name in names:
    try:
      outcome = _read(folder, name)
    except UserError as error:
      say(f"Left out: {error}")
      continue
    if outcome and outcome.keys() >= TOLD:
      outcomes.append(outcome)
    elif outcome:
      say(f"Left out, for it is of an earlier version: run --case={name} again")
  return outcomes


def _read(folder, name) -> dict[str, Any] | None:
  remedy = f"run --case={name} again"
  outcome = schema.read(folder / name / "result.json", _OUTCOME, remedy)
  for figure in outcome["figures"] if outcome else ():
    if not (folder / name / figure).is_file():
      raise UserError(f"{folder / name / figure} is missing: {remedy}")
  return outcome and outcome | {"case": name}


def hardware(outcome: dict[str, Any]) -> str:
  """Returns when and on what a case ran, in a few words."""
  environment = outcome["environment"]
  device = environment["processor"] if environment["backend"] == "cpu" else environment["devices"]
  day, jax = environment["time"].split()[0], environment["packages"]["jax"]
  return f"{day}, {device}, jax {jax}, commit {(environment['git_commit'] or 'unknown')[:12]}"


def _counts(outcome):
  judged = [check["passed"] for check in outcome["checks"] if check["passed"] is not None]
  return {
    "met": sum(judged),
    "criteria": len(judged),
    "hardware": hardware(outcome),
    "duration": _duration(outcome),
    "flags": _flags(outcome),
  }


def _flags(outcome):
  """The flags by which a run is another than the case's own, or ""."""
  words = ["--quick"] if outcome["quick"] else []
  return " ".join(words + ([f"--seeds={outcome['seeds']}"] if outcome["seeds"] else []))


def _duration(outcome):
  """The time on the clock and, apart from what else the machine did, of the processor's cores."""
  flags = _flags(outcome)
  which = f"{flags}: " if flags else ""
  cores = outcome.get("cores")  # not told by an earlier version
  where = f" on {cores} core{'s' if cores > 1 else ''}" if cores else ""
  spent = f"{outcome['processor_seconds']} s of processor time"
  return f"{which}{outcome['seconds']} s{where}, {spent}"


def write_report(folder: pathlib.Path, names: list[str]) -> None:
  """Writes <folder>/report.html of every case in the folder; the pictures are inside the file."""
  cases = []
  for outcome in read_outcomes(folder, names):
    files = [folder / outcome["case"] / name for name in outcome["figures"]]
    images = [
      (file.suffix[1:], file.stem.replace("_", " "), base64.b64encode(file.read_bytes()).decode())
      for file in files
    ]
    case = outcome | _counts(outcome)
    cases.append(case | {"verdict": _verdict(case), "images": images})
  template = jinja2.Environment(autoescape=True).from_string(TEMPLATE)
  (folder / "report.html").write_text(
    template.render(cases=cases, words=WORDS, style=style()), encoding="utf-8"
  )


DOCS_HEAD = """# The theory lab

    python -m experiments.theory --case=all --outdir=runs/theory --docs=docs/theory.md

What is known exactly of GANs, and toy results of the literature, by this library's own losses,
penalties, update rules and training step. The command above wrote this page, of every case in
runs/theory; cases can be run there one at a time, so each tells when, on what machine, on how many
of its cores and at which commit it ran, and with which flags beside --case. `all` runs as many
cases at once as there are cores. Where other work ran beside a case, the seconds on the clock are
more than it takes alone; the processor time says how much. `make theory` makes quick runs of the
two cases of hours first, and then runs the command. A case that is not in runs/theory keeps what
the page had of it.

Each case begins with what it shows, then its figures, then its numbers in three digits (its
result.json has six), and last what was done. A row without a criterion is reported. Where our run
does not show what a paper says, the row says FAIL and our numbers stand beside the paper's.
"""


def write_docs(folder: pathlib.Path, names: list[str], page: pathlib.Path) -> None:
  """Writes the Markdown page, the pictures of its cases in figures/theory beside it.

  A case that the folder does not hold keeps what the page had of it.

  Args:
    folder: where the cases are.
    names: of the cases, in order.
    page: the file; its folder is made.
  """
  figures = writable_folder(page.parent / "figures" / "theory")
  told = _told(page)
  for outcome in read_outcomes(folder, names):
    for name in outcome["figures"]:
      shutil.copyfile(folder / outcome["case"] / name, figures / f"{outcome['case']}_{name}")
    case = outcome | _counts(outcome)
    told[case["case"]] = (_row(case), _section(case))
  rows, sections = zip(*(told[name] for name in names if name in told), strict=True)
  table = "\n".join(["| case | criteria met | time |", "| --- | --- | --- |", *rows])
  page.write_text("\n".join([DOCS_HEAD, f"{table}\n", *sections]), encoding="utf-8")


def _told(page: pathlib.Path) -> dict[str, tuple[str, str]]:
  """{case: (its row of the first table, its section)} of a page that was written before."""
  text = page.read_text(encoding="utf-8") if page.exists() else ""
  _, *sections = re.split("^## ", text, flags=re.MULTILINE)
  rows = dict(re.findall(r"^\| \[`(\w+)`\](.*)$", text, flags=re.MULTILINE))
  split = ((section.split("\n", 1)[0], section.rstrip()) for section in sections)
  return {
    name: (f"| [`{name}`]{rows[name]}", f"## {section}\n")
    for name, section in split
    if name in rows
  }


def _row(case):
  title = f"[`{case['case']}`](#{case['case']}): {_cell(case['title'])}"
  return f"| {title} | {_verdict(case)} | {case['duration']} |"


def _verdict(case):
  if case["error"]:
    return "error"
  return f"{case['met']} of {case['criteria']}" if case["criteria"] else "none laid on it"


def _cell(text):
  return text.replace("|", "\\|")


def _section(case):
  files = [pathlib.PurePath(name) for name in case["figures"]]
  insight = INSIGHTS.get(case["case"], case["title"])
  parts = [f"## {case['case']}", f"**{insight}**"]
  parts += [f"![{file.stem}](figures/theory/{case['case']}_{file})" for file in files]
  if case["checks"]:
    parts.append(_table(case["checks"]))
  parts += case["notes"]
  if case["error"]:
    parts.append(f"Error: {case['error']}")
  parts.append(f"*{case['title']}.* {case['about']}")
  if case["flags"]:
    command = f"python -m experiments.theory --case={case['case']}"
    parts.append(f"Run with `{case['flags']}`; in full: `{command}`.")
  parts.append(f"{case['duration']}, {case['hardware']}.")
  return "\n\n".join(parts) + "\n"


def _table(checks):
  rows = ["| | ours | expected | | source |", "| --- | --- | --- | --- | --- |"]
  for check in checks:
    cells = [check["quantity"], three_digits(check["ours"]), three_digits(check["expected"])]
    cells += [WORDS[check["passed"]], check["source"]]
    rows.append("| " + " | ".join(map(_cell, cells)) + " |")
  return "\n".join(rows)


def three_digits(text: str) -> str:
  """Returns the text with its fractions in three significant digits; those of fewer stay.

  Near 1 they have four decimals, for there the distance from 1 counts.
  """
  return re.sub(r"(?<![\w.])(\d+\.\d+)(e[+-]\d+)?(?![\w.]*\d)", _three_digits, text)


def _three_digits(found):
  number, power = found[1], found[2] or ""
  value = float(number)
  decimals = 4 if 0.9 < value < 1.1 and not power else 2 - math.floor(math.log10(value or 1))
  have = len(number.partition(".")[2])
  return number + power if have <= decimals else f"{value:.{max(decimals, 0)}f}{power}"

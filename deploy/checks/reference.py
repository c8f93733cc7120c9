"""Keeps the flag tables in docs/reference.md in step with the programs' own --help.

reference.py FOLDER compares, reference.py FOLDER --write writes; FOLDER holds the built programs. Tables are between
`<!-- flags of NAME -->` and `<!-- end -->`; between `<!-- commands of NAME -->` and that is each command with the flags that it
adds to the program's own.
"""

import dataclasses
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent.parent
FILES = ("docs/reference.md",)
BLOCK = re.compile(r"(<!-- (?:flags|commands) of ([a-z -]+) -->\n)(.*?)(<!-- end -->\n)", re.DOTALL)
FLAG = re.compile(r"^ {2,6}(-\w, )?(--[a-z0-9-]+)?(?:[ =]?(\[?=?<.*?))?(?:\.\.\.)?$")


@dataclasses.dataclass
class Flag:
    heading: str
    names: str
    value: str
    text: str = ""
    variable: str = ""
    default: str = ""


def help_of(folder, words):
    program, *command = words.split()
    # Without our own variables, which would show up as values.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("KHAN_")}
    # khan's --help shows what belongs to a command, --help-all everything.
    run = [str(pathlib.Path(folder) / program), *command, "--help-all" if program == "khan" else "--help"]
    return subprocess.run(run, env=environment, check=True, capture_output=True, text=True).stdout


def flags(text):
    """The options of a `--help` page in their order; arguments without a dash and clap's own two are left out."""
    heading, found, current, skip, values = "", [], None, False, None
    for line in text.splitlines():
        if re.match(r"^\S.*:$", line):
            heading, skip = line[:-1], line in ("Arguments:", "Commands:")
            current = None
        elif not skip and line.startswith("  ") and (match := FLAG.match(line)) and (match[1] or match[2]):
            names = (match[1] or "") + (match[2] or "")
            current = Flag(heading, names.strip().rstrip(","), re.sub(r"[<>\[\]=]", "", match[3] or ""))
            found.append(current)
            values = None
        elif current is not None and (stripped := line.strip()):
            if variable := re.fullmatch(r"\[env: (\w+)=.*\]", stripped):
                current.variable = variable[1]
            elif default := re.fullmatch(r"\[default: (.*)\]", stripped):
                current.default = default[1]
            elif possible := re.fullmatch(r"\[possible values: (.*)\]", stripped):
                current.value = possible[1].replace(", ", "|")
            elif stripped == "Possible values:":
                values = []
            elif values is not None:
                # The meaning of a value may span several lines.
                if value := re.match(r"^- ([\w-]+)(:|$)", stripped):
                    values.append(value[1])
                    current.value = "|".join(values)
            elif not current.variable and not current.default:
                current.text = f"{current.text} {stripped}".strip()
    return [flag for flag in found if flag.names not in ("-h, --help", "--help-all", "-V, --version")]


def table(found):
    rows = []
    heading = found[0].heading
    for number, flag in enumerate(found):
        if number == 0 or flag.heading != heading:
            heading = flag.heading
            if heading != "Options" or number:
                rows.append(f"\n**{heading}**\n" if heading != "Options" else "")
            rows += ["| flag | variable | default | |", "|---|---|---|---|"]
        value = f" {flag.value}" if flag.value else ""
        name = f"`{flag.names}{value}`".replace("|", "\\|")
        default = f"`{flag.default}`" if flag.default else ""
        variable = f"`{flag.variable}`" if flag.variable else ""
        text = flag.text.replace("|", "\\|")
        rows.append(f"| {name} | {variable} | {default} | {text} |")
    return "\n".join(rows).strip("\n") + "\n"


def commands(folder, program):
    """Each command with its purpose and its own flags. Completions and man pages are left to --help."""
    page = help_of(folder, program)
    everywhere = {flag.names for flag in flags(page)}
    listed = re.search(r"^Commands:\n(.*?)\n\n", page, re.MULTILINE | re.DOTALL)[1]
    parts = []
    for name, purpose in re.findall(r"^  (\w+) +(.*)$", listed, re.MULTILINE):
        own = [flag for flag in flags(help_of(folder, f"{program} {name}")) if flag.names not in everywhere]
        parts.append(f"### `{program} {name}`\n\n{purpose}.\n" + (f"\n{table(own)}" if own else ""))
    return "\n".join(parts)


def main():
    folder, write = sys.argv[1], "--write" in sys.argv[2:]
    behind, checked = [], []
    for name in FILES:
        path = ROOT / name
        before = path.read_text()

        def fresh(match, name=name):
            if match[1].startswith("<!-- commands"):
                return f"{match[1]}\n{commands(folder, match[2])}\n{match[4]}"
            found = flags(help_of(folder, match[2]))
            if len(found) < 3:
                sys.exit(f"{name}: the --help of {match[2]} could not be read")
            checked.append(f"{match[2]} ({len(found)})")
            return f"{match[1]}\n{table(found)}\n{match[4]}"

        after = BLOCK.sub(fresh, before)
        if after != before:
            behind.append(name)
            if write:
                path.write_text(after)
    if behind and not write:
        sys.exit(f"{', '.join(behind)}: not what --help says; run deploy/check --write")
    print(f"Flags in the documents: {', '.join(checked)} as --help has them")


main()

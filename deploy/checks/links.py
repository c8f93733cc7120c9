"""Checks that every relative link leads to a file, every anchor to a heading, and every alert to its section."""

import pathlib
import re
import sys

import yaml

ROOT = pathlib.Path(__file__).parent.parent.parent
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def documents():
    yield from ROOT.glob("*.md")
    yield from ROOT.glob("khan-*/**/README.md")
    for folder in ("docs", "deploy"):
        yield from (ROOT / folder).rglob("*.md")


def anchors(path):
    """Anchors of the headings, as GitHub generates them."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_nowhere(document, link):
    path, _, anchor = link.partition("#")
    target = (document.parent / path).resolve() if path else document
    if not target.exists():
        return True
    return bool(anchor) and target.suffix == ".md" and anchor not in anchors(target)


def main():
    wrong, count = [], 0
    for document in documents():
        text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
        for link in LINK.findall(text):
            if re.match(r"[a-z]+:", link):
                continue
            count += 1
            if leads_nowhere(document, link):
                wrong.append(f"{document.relative_to(ROOT)}: {link} leads nowhere")
    alerts = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())
    for rule in (rule for group in alerts["groups"] for rule in group["rules"]):
        runbook = f"docs/alerts.md#{rule['alert'].lower()}"
        if rule["annotations"]["runbook"] != runbook or leads_nowhere(ROOT / "README.md", runbook):
            wrong.append(f"alert {rule['alert']}: {rule['annotations']['runbook']} is not its runbook")
        count += 1
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"Documents: all {count} links lead somewhere")


main()

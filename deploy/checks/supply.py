"""Checks licences, registries and banned crates against deny.toml, using `cargo metadata`, so that it works without cargo-deny and
without a network; and that crates, images, manifests and CHANGELOG have the same version."""

import json
import pathlib
import re
import subprocess
import sys
import tomllib

import yaml

ROOT = pathlib.Path(__file__).parent.parent.parent
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


def allowed(expression, licences):
    """Whether an SPDX expression leaves a choice that is allowed. Old manifests write `/` for OR."""
    tokens = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))
    position = 0

    def peek():
        return tokens[position] if position < len(tokens) else None

    def take():
        nonlocal position
        position += 1
        return tokens[position - 1]

    def operand():
        if peek() == "(":
            take()
            value = choice()
            take()
            return value
        licence = take()
        if peek() == "WITH":
            take()
            licence = f"{licence} WITH {take()}"
        return licence in licences

    def both():
        value = operand()
        while peek() == "AND":
            take()
            value = operand() and value
        return value

    def choice():
        value = both()
        while peek() == "OR":
            take()
            value = both() or value
        return value

    return choice() and position == len(tokens)


def of_crates(deny):
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    own = set(metadata["workspace_members"])
    banned = {entry["name"] for entry in deny["bans"]["deny"]}
    for crate in metadata["packages"]:
        name = f"{crate['name']} {crate['version']}"
        if crate["id"] in own:
            continue
        if crate["source"] != REGISTRY:
            yield f"{name} comes from {crate['source']}"
        if not allowed(crate["license"] or "", set(deny["licenses"]["allow"])):
            yield f"{name} is under {crate['license']}, which deny.toml does not allow"
    # The lock file also names crates of other platforms and unused features; the resolved graph has what is linked.
    linked = {node["id"] for node in metadata["resolve"]["nodes"]}
    for crate in metadata["packages"]:
        if crate["id"] in linked and crate["name"] in banned:
            yield f"{crate['name']} is banned by deny.toml"
    agent = tree("khan-agent")
    for crate in ("kube", "k8s-openapi", "ratatui"):
        if re.search(rf"\b{crate} v", agent):
            yield f"khan-agent links {crate}"


def tree(package):
    command = ["cargo", "tree", "--locked", "--edges", "normal", "--prefix", "none", "--package", package]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def of_versions():
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]
    version = workspace["package"]["version"]
    for member in workspace["members"]:
        package = tomllib.loads((ROOT / member / "Cargo.toml").read_text())["package"]
        if package["version"] != {"workspace": True} or package["rust-version"] != {"workspace": True}:
            yield f"{member}/Cargo.toml has a version of its own"
    if not re.search(rf"^## \[{re.escape(version)}\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE):
        yield f"CHANGELOG.md has no section for {version}"
    for image in yaml.safe_load((ROOT / "deploy/base/kustomization.yaml").read_text())["images"]:
        if image["newTag"] != version:
            yield f"deploy/base/kustomization.yaml: {image['name']} is tagged {image['newTag']}, the crates are {version}"
    grafana = yaml.safe_load((ROOT / "deploy/grafana/kustomization.yaml").read_text())
    if grafana["generatorOptions"]["labels"]["app.kubernetes.io/version"] != version:
        yield "deploy/grafana/kustomization.yaml has another version"
    if f"Rust {workspace['package']['rust-version']} or later" not in (ROOT / "README.md").read_text():
        yield f"README.md does not say that Rust {workspace['package']['rust-version']} is needed"


def main():
    deny = tomllib.loads((ROOT / "deny.toml").read_text())
    wrong = [*of_crates(deny), *of_versions()]
    if wrong:
        sys.exit("\n".join(wrong))
    print("Crates: licences, registries and bans as in deny.toml; versions are in step")


if __name__ == "__main__":
    main()

"""Checks rendered kustomizations: manifests.py FILE.yaml... Exits 1 and names every problem."""

import pathlib
import re
import sys

import kubernetes_validate
import yaml

import policy

# From the oldest Kubernetes whose seccompProfile, PodDisruptionBudget and rotated tokens are the ones used, to the newest
# of the package.
KUBERNETES = ("1.25", "1.31", "1.37")
# Kinds of the Prometheus Operator, which Kubernetes' schemas do not know. Their rules go through promtool.
FOREIGN = {"PodMonitor", "PrometheusRule"}
ROOT = pathlib.Path(__file__).parent.parent.parent


def crate_version():
    manifest = (ROOT / "Cargo.toml").read_text()
    return re.search(r'^\[workspace\.package\]\nversion = "([^"]+)"', manifest, re.MULTILINE).group(1)


def problems(path, version):
    with open(path) as file:
        objects = list(yaml.safe_load_all(file))
    for obj in objects:
        if obj["kind"] in FOREIGN:
            continue
        for kubernetes in KUBERNETES:
            try:
                kubernetes_validate.validate(obj, kubernetes, strict=True)
            except kubernetes_validate.ValidationError as error:
                at = ".".join(str(part) for part in error.path)
                yield f"{obj['kind']} {obj['metadata']['name']}: {at}: {error.message} (Kubernetes {kubernetes})"
    yield from policy.violations(objects, version)


def main():
    version, failed = crate_version(), False
    rendered = {pathlib.Path(path).stem: list(yaml.safe_load_all(open(path))) for path in sys.argv[1:]}
    readme = (ROOT / "deploy/README.md").read_text()
    for path in sys.argv[1:]:
        name = pathlib.Path(path).stem
        found = [*problems(path, version), *policy.left_behind(rendered, name, readme)]
        found += policy.beyond_the_base(name, rendered[name])
        failed = failed or bool(found)
        for problem in found:
            print(f"{name}: {problem}", file=sys.stderr)
        if not found:
            print(f"{name}: conforms to Kubernetes {', '.join(KUBERNETES)} and to the policies")
    sys.exit(failed)


main()

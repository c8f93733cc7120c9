"""Generates the PrometheusRule of the component prometheus-operator from deploy/prometheus: with --write it writes the object,
without it fails if the object is out of date."""

import pathlib
import sys

import yaml

DEPLOY = pathlib.Path(__file__).parent.parent
OBJECT = DEPLOY / "components/prometheus-operator/rules.yaml"
HEAD = """\
# Written by deploy/checks/operator_rules.py --write from deploy/prometheus/; edit there.
"""


class Dumper(yaml.SafeDumper):
    """Multi-line text as blocks, nothing by reference."""

    def ignore_aliases(self, data):
        return True


def text(dumper, value):
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


Dumper.add_representer(str, text)


def rendered():
    version = yaml.safe_load((DEPLOY / "base/kustomization.yaml").read_text())["labels"][0]["pairs"]
    groups = [
        group
        for name in ("recording.yaml", "alerts.yaml")
        for group in yaml.safe_load((DEPLOY / "prometheus" / name).read_text())["groups"]
    ]
    return HEAD + yaml.dump(
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": "khan", "namespace": "khan", "labels": version},
            "spec": {"groups": groups},
        },
        Dumper=Dumper,
        sort_keys=False,
        width=120,
        allow_unicode=True,
    )


def main():
    if sys.argv[1:] == ["--write"]:
        OBJECT.write_text(rendered())
    if not OBJECT.exists() or OBJECT.read_text() != rendered():
        sys.exit(f"{OBJECT} is not what deploy/prometheus says: run deploy/check --write")
    else:
        print("PrometheusRule: in step with deploy/prometheus")


main()

"""Each policy catches its violation."""

import copy
import unittest

import policy

LABELS = {
    "app.kubernetes.io/name": "khan",
    "app.kubernetes.io/part-of": "khan",
    "app.kubernetes.io/version": "1.2.3",
    "app.kubernetes.io/component": "controller",
}
PROBE = {"path": "/livez", "port": "http"}


def kustomization():
    container = {
        "name": "controller",
        "image": "khan-controller:1.2.3",
        "ports": [{"name": "http", "containerPort": 1}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "resources": {"requests": {"cpu": "1", "memory": "1"}, "limits": {"memory": "1"}},
        "startupProbe": {"httpGet": PROBE},
        "livenessProbe": {"httpGet": PROBE},
        "readinessProbe": {"httpGet": PROBE | {"path": "/readyz"}},
    }
    pod = {
        "serviceAccountName": "khan-controller",
        "priorityClassName": "khan-controller",
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }

    def obj(kind, name, namespace="khan", **fields):
        meta = {"name": name, "labels": LABELS} | ({"namespace": namespace} if namespace else {})
        return {"kind": kind, "metadata": meta} | fields

    chosen = {"app.kubernetes.io/component": "controller"}
    template = {"metadata": {"labels": LABELS}, "spec": pod}
    return [
        obj("Namespace", "khan", ""),
        obj("PriorityClass", "khan-controller", ""),
        obj("ServiceAccount", "khan-controller"),
        obj("ClusterRole", "khan-controller", "", rules=copy.deepcopy(policy.ROLES["khan-controller"])),
        obj("Service", "khan-controller", spec={"selector": chosen, "ports": [{"targetPort": "http"}]}),
        obj("Deployment", "khan-controller", spec={"selector": {"matchLabels": chosen}, "template": template}),
    ]


class Breaches(unittest.TestCase):
    def test_nothing_is_wrong_with_the_model(self):
        self.assertEqual(list(policy.violations(kustomization(), "1.2.3")), [])

    def breach(self, change, expected):
        objects = kustomization()
        pod = objects[-1]["spec"]["template"]["spec"]
        change(objects, pod, pod["containers"][0])
        found = list(policy.violations(objects, "1.2.3"))
        self.assertTrue(any(expected in problem for problem in found), f"{expected!r} is not in {found}")

    def test_confinement(self):
        cases = [
            (lambda o, p, c: c["securityContext"].update(privileged=True), "is privileged"),
            (lambda o, p, c: c["securityContext"].pop("allowPrivilegeEscalation"), "may become so"),
            (lambda o, p, c: c["securityContext"].pop("readOnlyRootFilesystem"), "can write to its root"),
            (lambda o, p, c: c["securityContext"].pop("capabilities"), "other capabilities"),
            (lambda o, p, c: c["securityContext"]["capabilities"].update(add=["NET_ADMIN"]), "other capabilities"),
            (lambda o, p, c: p["securityContext"].pop("runAsNonRoot"), "may run as root"),
            (lambda o, p, c: p["securityContext"].pop("seccompProfile"), "seccomp"),
            (lambda o, p, c: p.update(hostNetwork=True), "host network"),
            (lambda o, p, c: p.update(hostPID=True), "process ids"),
            (lambda o, p, c: p.update(volumes=[{"name": "v", "hostPath": {"path": "/"}}]), "hostPath"),
            (lambda o, p, c: c.update(volumeMounts=[{"name": "v", "mountPath": "/v"}]), "writable"),
            (lambda o, p, c: o[3]["rules"][0]["verbs"].append("get"), "not the reviewed ones"),
            (lambda o, p, c: o[3]["rules"][0]["resources"].append("secrets"), "not the reviewed ones"),
        ]
        for change, expected in cases:
            with self.subTest(expected):
                self.breach(change, expected)

    def test_maps(self):
        """CAP_BPF and the BPF file system go together, in the agent of the overlays that say so."""
        objects = kustomization()
        workload = objects[-1]
        workload["metadata"]["name"] = "khan-agent"
        workload["spec"]["updateStrategy"] = {"rollingUpdate": {"maxUnavailable": "2%"}}
        pod = workload["spec"]["template"]["spec"]
        container = pod["containers"][0]
        capabilities = container["securityContext"]["capabilities"]

        def found():
            problems = policy.violations(objects, "1.2.3")
            return [problem for problem in problems if "capabilities" in problem or "hostPath" in problem]

        capabilities["add"] = ["NET_ADMIN"]
        self.assertEqual(found(), [])
        self.assertEqual(len([*policy.beyond_the_base("cilium", objects)]), 1)
        capabilities["add"] = ["NET_ADMIN", "BPF"]
        self.assertEqual(len(found()), 1, "the capability without the maps")
        pod["volumes"] = [{"name": "bpf", "hostPath": {"path": policy.BPF}}]
        self.assertEqual(found(), [])
        self.assertEqual([*policy.beyond_the_base("calico-ebpf", objects)], [])
        self.assertEqual(len([*policy.beyond_the_base("base", objects)]), 1)
        capabilities["add"] = ["NET_ADMIN"]
        self.assertEqual(len(found()), 1, "the maps without the capability")
        capabilities["add"] = ["NET_ADMIN", "BPF", "PERFMON"]
        self.assertEqual(len(found()), 1, "a further capability")
        pod["volumes"] = [{"name": "bpf", "hostPath": {"path": "/sys/fs"}}]
        capabilities["add"] = ["NET_ADMIN", "BPF"]
        self.assertEqual(len(found()), 1, "another path")

    def test_operation(self):
        cases = [
            (lambda o, p, c: c.update(image="khan-controller"), "is not of version"),
            (lambda o, p, c: c.update(image="khan-controller:latest"), "is not of version"),
            (lambda o, p, c: c.pop("livenessProbe"), "no livenessProbe"),
            (lambda o, p, c: c["readinessProbe"].update(httpGet=PROBE), "not asked at /readyz"),
            (lambda o, p, c: c["resources"].pop("limits"), "memory limit"),
            (lambda o, p, c: o[2]["metadata"].update(labels={}), "lacks the label"),
        ]
        for change, expected in cases:
            with self.subTest(expected):
                self.breach(change, expected)

    def test_references(self):
        cases = [
            (lambda o, p, c: o.pop(0), "namespace khan is not created"),
            (lambda o, p, c: o.pop(1), "priority class is not created"),
            (lambda o, p, c: o.pop(2), "service account is not created"),
            (lambda o, p, c: o[4]["spec"].update(selector={"a": "b"}), "chooses 0 workloads"),
            (lambda o, p, c: c.update(ports=[{"name": "web"}]), "names its port http"),
        ]
        for change, expected in cases:
            with self.subTest(expected):
                self.breach(change, expected)


if __name__ == "__main__":
    unittest.main()

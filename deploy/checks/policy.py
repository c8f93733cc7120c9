"""The policies for Khan's manifests. In: the objects of one rendered kustomization. Out: one sentence for each violation."""

import re

WORKLOADS = {"DaemonSet", "Deployment"}
CLUSTER_SCOPED = {"Namespace", "ClusterRole", "ClusterRoleBinding", "PriorityClass"}
FAMILY = ("name", "part-of", "version")
# Where the maps of eBPF data planes are pinned: the only path of the host that a pod may see, and only the agent's.
BPF = "/sys/fs/bpf"
# The kustomizations in which agents read those maps. No other has the path or the capability.
READS_MAPS = {"cilium", "calico-ebpf"}

# Everything that Khan may do with an API server, by role.
ROLES = {
    "khan-controller": [
        {"apiGroups": [""], "resources": ["pods", "services", "nodes"], "verbs": ["list", "watch"]},
        {"apiGroups": ["networking.k8s.io"], "resources": ["servicecidrs"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ],
    "khan-controller-tokens": [
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}
    ],
    "khan-viewer": [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["pods/proxy"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]},
    ],
}


def violations(objects, version):
    """Every violation in these objects, one sentence each."""
    namespaces = {o["metadata"]["name"]: o["metadata"].get("labels", {}) for o in objects if o["kind"] == "Namespace"}
    for obj in objects:
        where = f"{obj['kind']} {obj['metadata']['name']}"
        for problem in common(obj, version):
            yield f"{where}: {problem}"
        if obj["kind"] in WORKLOADS:
            for problem in [*workload(obj, version), *admission(obj, namespaces)]:
                yield f"{where}: {problem}"
        if obj["kind"] == "ClusterRole" and obj["rules"] != ROLES.get(obj["metadata"]["name"]):
            yield f"{where}: its rules are not the reviewed ones"
    yield from references(objects)


def reaches_maps(objects):
    """Whether a workload has the node's BPF file system."""
    pods = [obj["spec"]["template"]["spec"] for obj in objects if obj["kind"] in WORKLOADS]
    return any("hostPath" in volume for pod in pods for volume in pod.get("volumes", []))


def beyond_the_base(name, objects):
    """A kustomization with more privileges than its name promises, or fewer."""
    if reaches_maps(objects) and name not in READS_MAPS:
        yield "only the overlays for eBPF data planes mount the BPF file system"
    if not reaches_maps(objects) and name in READS_MAPS:
        yield "its agents cannot read the maps of an eBPF data plane"


# What deploy/README.md says to delete after a switch to a kustomization that has the controller in another namespace.
CLEAN_UP = re.compile(r"kubectl -n \S+ delete (\S+) -l app.kubernetes.io/name=khan,app.kubernetes.io/component=controller$", re.M)


def left_behind(rendered, name, readme):
    """What another kustomization leaves behind when `name` is applied over it, and the documented command does not delete."""
    kinds = {kind for found in CLEAN_UP.findall(readme) for kind in found.split(",")}

    def place(obj):
        return (obj["kind"], obj["metadata"].get("namespace"), obj["metadata"]["name"])

    here = {place(obj) for obj in rendered[name]}
    names = {(kind, name) for kind, _, name in here}
    for other, objects in rendered.items():
        for obj in objects:
            kind, namespace, obj_name = place(obj)
            # In another namespace, so nothing replaces it. An object without a successor of the same name does no harm.
            if namespace and (kind, obj_name) in names and place(obj) not in here:
                component = obj["metadata"]["labels"].get("app.kubernetes.io/component")
                if component != "controller" or kind.lower() not in kinds:
                    yield f"{kind} {namespace}/{obj_name} of {other} is left behind, and deploy/README.md does not delete it"


def admission(obj, namespaces):
    """Pod Security: the agent's namespace has to admit it, and a restricted one has to admit what is in it."""
    level = namespaces.get(obj["metadata"]["namespace"], {}).get("pod-security.kubernetes.io/enforce")
    agent = obj["metadata"]["name"] == "khan-agent"
    if agent and level != "privileged":
        yield "its namespace does not admit the host network and NET_ADMIN"
    if level == "restricted" and obj["spec"]["template"]["spec"].get("hostNetwork"):
        yield "its namespace is restricted"


def common(obj, version):
    labels = obj["metadata"].get("labels", {})
    for key in FAMILY:
        if f"app.kubernetes.io/{key}" not in labels:
            yield f"lacks the label app.kubernetes.io/{key}"
    if labels.get("app.kubernetes.io/version", version) != version:
        yield f"is labelled with version {labels['app.kubernetes.io/version']}, the crates are {version}"
    if (obj["kind"] in CLUSTER_SCOPED) == ("namespace" in obj["metadata"]):
        yield "has a namespace where none belongs, or none where one does"
    if obj["kind"] in {"Role", "RoleBinding", "Secret"}:
        yield "is of a kind that no manifest of Khan uses"


def workload(obj, version):
    pod = obj["spec"]["template"]["spec"]
    agent = obj["metadata"]["name"] == "khan-agent"
    if pod.get("hostPID") or pod.get("hostIPC"):
        yield "shares the node's process ids or IPC"
    if bool(pod.get("hostNetwork")) != agent:
        yield "only the agent is on the host network"
    if pod.get("automountServiceAccountToken", True) and agent:
        yield "mounts a token for the API server that the agent never uses"
    for volume in pod.get("volumes", []):
        if "hostPath" in volume and not (agent and volume["hostPath"]["path"] == BPF):
            yield f"volume {volume['name']} is a hostPath"
        if "emptyDir" in volume:
            yield f"volume {volume['name']} is writable"
    if "priorityClassName" not in pod or "serviceAccountName" not in pod:
        yield "has no priority class or no service account of its own"
    if pod.get("securityContext", {}).get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "seccomp is not RuntimeDefault"
    if agent and obj["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"] not in ("1%", "2%", "5%"):
        yield "an update may blind more than a few nodes at once"
    if agent and {"operator": "Exists"} not in pod.get("tolerations", []):
        yield "does not tolerate every taint"
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        for problem in confinement(container, pod, agent):
            yield f"container {container['name']}: {problem}"
        for problem in operation(container, version):
            yield f"container {container['name']}: {problem}"


def confinement(container, pod, agent):
    context = container.get("securityContext", {})
    if context.get("privileged") or context.get("allowPrivilegeEscalation") is not False:
        yield "is privileged or may become so"
    if context.get("readOnlyRootFilesystem") is not True:
        yield "can write to its root"
    capabilities = context.get("capabilities", {})
    needed = ["NET_ADMIN"] if agent else []
    if any("hostPath" in volume for volume in pod.get("volumes", [])):
        needed.append("BPF")
    if capabilities.get("drop") != ["ALL"] or capabilities.get("add", []) != needed:
        yield "keeps other capabilities than it needs"
    if not agent and not (pod.get("securityContext", {}) | context).get("runAsNonRoot"):
        yield "may run as root"
    for mount in container.get("volumeMounts", []):
        if not mount.get("readOnly"):
            yield f"mounts {mount['name']} writable"


def operation(container, version):
    image, _, tag = container["image"].rpartition(":")
    if not image or tag != version:
        yield f"image {container['image']} is not of version {version}"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        if probe not in container:
            yield f"has no {probe}"
    if container.get("livenessProbe", {}).get("httpGet", {}).get("path") != "/livez":
        yield "liveness is not asked at /livez"
    if container.get("readinessProbe", {}).get("httpGet", {}).get("path") != "/readyz":
        yield "readiness is not asked at /readyz"
    resources = container.get("resources", {})
    if not {"cpu", "memory"} <= resources.get("requests", {}).keys() or "memory" not in resources.get("limits", {}):
        yield "lacks a request or a memory limit"


def references(objects):
    """References to names that do not exist in the kustomization."""
    named = {(o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"]) for o in objects}
    namespaces = {name for kind, _, name in named if kind == "Namespace"}
    for obj in objects:
        if obj["kind"] in WORKLOADS:
            for volume in obj["spec"]["template"]["spec"].get("volumes", []):
                wanted = volume.get("configMap", {}).get("name")
                if wanted and ("ConfigMap", obj["metadata"]["namespace"], wanted) not in named:
                    yield f"{obj['kind']} {obj['metadata']['name']}: ConfigMap {wanted} is not created"
    pods = [(o["metadata"]["namespace"], o["spec"]["template"]) for o in objects if o["kind"] in WORKLOADS]

    for obj in objects:
        kind, spec, meta = obj["kind"], obj.get("spec", {}), obj["metadata"]
        where, namespace = f"{kind} {meta['name']}", meta.get("namespace", "")
        if namespace and namespace not in namespaces:
            yield f"{where}: namespace {namespace} is not created"
        if kind in WORKLOADS:
            pod = spec["template"]["spec"]
            if ("ServiceAccount", namespace, pod.get("serviceAccountName")) not in named:
                yield f"{where}: its service account is not created"
            if ("PriorityClass", "", pod.get("priorityClassName")) not in named:
                yield f"{where}: its priority class is not created"
        if kind == "ClusterRoleBinding":
            wanted = [("ClusterRole", "", obj["roleRef"]["name"])]
            wanted += [(s["kind"], s.get("namespace", ""), s["name"]) for s in obj["subjects"]]
            for reference in wanted:
                # Kubernetes provides the system: roles, including those for token reviews.
                if reference not in named and not reference[2].startswith("system:"):
                    yield f"{where}: {reference[0]} {reference[2]} is not created"
        selector = None
        if kind == "Service":
            selector, ports = spec["selector"], [port["targetPort"] for port in spec["ports"]]
        elif kind == "PodMonitor":
            selector, ports = spec["selector"]["matchLabels"], [end["port"] for end in spec["podMetricsEndpoints"]]
        elif kind == "PodDisruptionBudget" or kind in WORKLOADS:
            selector, ports = spec["selector"]["matchLabels"], []
        if selector is not None:
            chosen = [
                template
                for where_it_is, template in pods
                if where_it_is == namespace and selector.items() <= template["metadata"]["labels"].items()
            ]
            if len(chosen) != 1:
                yield f"{where}: its selector chooses {len(chosen)} workloads"
            for template in chosen:
                names = {port["name"] for c in template["spec"]["containers"] for port in c.get("ports", [])}
                for port in set(ports) - names:
                    yield f"{where}: no container names its port {port}"

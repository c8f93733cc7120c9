"""Checks that a Prometheus finds Khan: discovery.py BASE.yaml. The pods are made from the rendered manifests, a small API
server lists them, and vmagent, whose service discovery is that of Prometheus, says which targets it makes of them. Debian's
Prometheus is built without Kubernetes' discovery.
"""

import http.server
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import yaml

ROOT = pathlib.Path(__file__).parent.parent
PATIENCE = 60
# The job that the annotations are meant for, from Prometheus's own example (documentation/examples/prometheus-kubernetes.yml).
ANNOTATIONS = """
- job_name: annotations
  honor_labels: true
  kubernetes_sd_configs: [{role: pod}]
  relabel_configs:
    - {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape], action: keep, regex: "true"}
    - {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scheme], action: replace, target_label: __scheme__, regex: "(https?)"}
    - {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_path], action: replace, target_label: __metrics_path__, regex: "(.+)"}
    - source_labels: [__address__, __meta_kubernetes_pod_annotation_prometheus_io_port]
      action: replace
      regex: '([^:]+)(?::\\d+)?;(\\d+)'
      replacement: $1:$2
      target_label: __address__
"""


def pods(path):
    """One pod of each workload, as a cluster would create them, and one that does not belong to Khan."""
    for number, obj in enumerate(yaml.safe_load_all(path.read_text()), start=1):
        if obj["kind"] in ("DaemonSet", "Deployment"):
            template = obj["spec"]["template"]
            meta = dict(template["metadata"], name=obj["metadata"]["name"] + "-x", namespace=obj["metadata"]["namespace"])
            yield pod(meta, template["spec"], f"10.0.0.{number}", f"node-{number}")
    stranger = {"name": "stranger", "namespace": "khan", "labels": {"app.kubernetes.io/component": "web"}}
    ports = [{"name": "http", "containerPort": 80}]
    yield pod(stranger, {"containers": [{"name": "web", "image": "web", "ports": ports}]}, "10.0.0.99", "node-1")


def pod(meta, spec, ip, node):
    status = {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "hostIP": ip}
    meta = dict(meta, uid=meta["name"], resourceVersion="1")
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": dict(spec, nodeName=node), "status": status}


class Api(http.server.BaseHTTPRequestHandler):
    items = []

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        if "watch=" in self.path:
            # Nothing ever changes; the watch stays open until vmagent exits.
            self.rfile.read()
            return
        namespace = self.path.split("/namespaces/")[1].split("/")[0] if "/namespaces/" in self.path else None
        items = [item for item in self.items if namespace in (None, item["metadata"]["namespace"])]
        answer = {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_):
        pass


def targets(config, wanted):
    """The targets that vmagent finds with the configuration, once there are as many as expected."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "scrape.yaml")
        file.write_text(yaml.safe_dump({"scrape_configs": config}))
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as free:
            listen = f"127.0.0.1:{free.server_port}"
        agent = subprocess.Popen(
            ["vmagent", f"-promscrape.config={file}", f"-httpListenAddr={listen}", "-remoteWrite.url=http://127.0.0.1:9/",
             f"-remoteWrite.tmpDataPath={folder}", "-promscrape.config.strictParse=true"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        # A pipe that nobody reads blocks the writer in the end.
        log = []
        reader = threading.Thread(target=lambda: log.extend(agent.stderr), daemon=True)
        reader.start()
        try:
            return until(listen, wanted, agent, log)
        finally:
            agent.kill()
            agent.wait()


def until(listen, wanted, agent, log):
    found, end = [], time.monotonic() + PATIENCE
    while time.monotonic() < end and agent.poll() is None:
        try:
            with urllib.request.urlopen(f"http://{listen}/api/v1/targets?state=active", timeout=5) as answer:
                found = json.load(answer)["data"]["activeTargets"]
        except OSError:
            found = []
        if len(found) >= wanted:
            return found
        time.sleep(0.1)
    sys.exit(f"discovery: {len(found)} targets instead of {wanted}; vmagent says:\n{''.join(log[-20:])}")


def main():
    Api.items = list(pods(pathlib.Path(sys.argv[1])))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = yaml.safe_load((ROOT / "prometheus/scrape.yaml").read_text()) + yaml.safe_load(ANNOTATIONS)
    for job in config:
        for discovery in job["kubernetes_sd_configs"]:
            discovery["api_server"] = f"http://127.0.0.1:{server.server_port}"
    found = {(t["labels"]["job"], t["scrapeUrl"]): t["labels"] for t in targets(config, 4)}
    agent, controller = ((p["status"]["podIP"], p["spec"]["nodeName"]) for p in Api.items[:2])
    if "khan-controller" in Api.items[0]["metadata"]["name"]:
        agent, controller = controller, agent
    urls = {"agent": f"http://{agent[0]}:14718/metrics", "controller": f"http://{controller[0]}:14719/metrics"}
    expected = {
        ("khan-agent", urls["agent"]), ("khan-controller", urls["controller"]),
        ("annotations", urls["agent"]), ("annotations", urls["controller"]),
    }
    assert set(found) == expected, f"found {sorted(found)}, expected {sorted(expected)}"
    assert found["khan-agent", urls["agent"]]["node"] == agent[1], found
    assert found["khan-controller", urls["controller"]]["pod"] == "khan-controller-x", found
    print("scrape.yaml and the annotations lead a Prometheus to the agent and the controller, and to nothing else")


main()

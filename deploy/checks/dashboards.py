"""Generates the Grafana dashboards in deploy/grafana: with --write it writes them, without it fails if they are out of date.
khan-lab/tests/dashboards.rs runs the panels' queries on a real Prometheus."""

import json
import pathlib
import sys

FOLDER = pathlib.Path(__file__).parent.parent / "grafana"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
EDGE = 'cluster=~"$cluster"'
RAW = 'side="client",cluster=~"$cluster"'
# One end of an edge as people write it: NAMESPACE/APP, or the type if there is no app.
FROM = "{{src_ns}}/{{src_app}} ({{src_type}})"
TO = "{{dst_ns}}/{{dst_app}} ({{dst_type}})"
BOTH = f"{FROM} → {TO}"
DASHBOARDS = {"khan": "Khan", "khan-app": "Khan / App", "khan-node": "Khan / Node", "khan-health": "Khan / Health"}


def variable(name, label, query, multi=False, hide=0):
    chosen = {"text": "All", "value": "$__all"}
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "hide": hide,
        "multi": multi,
        "includeAll": multi,
        # Also matches series without the label.
        "allValue": ".*" if multi else None,
        "current": chosen if multi else {},
    }


DATASOURCE = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "hide": 0}
CLUSTER = variable("cluster", "Cluster", "label_values(edge:khan_connection:sum, cluster)", multi=True)
NAMESPACE = variable(
    "namespace", "Namespace", "label_values(app:khan_connection:sum{" + EDGE + "}, ns)", multi=True
)
APP = variable("app", "App", "label_values(app:khan_connection:sum{" + EDGE + ',ns=~"$namespace"}, app)', multi=True)
NODE = variable("node", "Node", "label_values(node_source:khan_connection:sum{" + EDGE + "}, node)")
# The metrics of a node's table may lack the label `node`, but always have their scrape target.
INSTANCE = variable(
    "instance", "Instance", "label_values(node_source:khan_connection:sum{" + EDGE + ',node="$node"}, instance)', hide=2
)
WINDOW = {
    "name": "window",
    "label": "Compared with",
    "type": "custom",
    "query": "5m,15m,1h,6h,1d",
    "options": [{"text": f"{w} ago", "value": w, "selected": w == "1h"} for w in ("5m", "15m", "1h", "6h", "1d")],
    "current": {"text": "1h ago", "value": "1h"},
    "hide": 0,
}


def panel(kind, title, description, targets, unit="short", width=8, height=8, options=None, **defaults):
    """`targets` are (query, legend) pairs. Tables and stats query one moment, graphs a range."""
    instant = kind != "timeseries"
    custom = {"fillOpacity": 10, "showPoints": "never"} if kind == "timeseries" else {}
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": SOURCE,
        "gridPos": {"w": width, "h": height},
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": SOURCE,
                "expr": query,
                "legendFormat": legend,
                "instant": instant,
                "range": not instant,
                "format": "table" if kind == "table" else "time_series",
            }
            for number, (query, legend) in enumerate(targets)
        ],
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": custom} | defaults, "overrides": []},
        "options": options or {},
    }


def graph(title, description, *targets, width=12, **more):
    legend = {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull"], "sortBy": "Last *", "sortDesc": True}
    options = {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    return panel("timeseries", title, description, targets, width=width, options=options, **more)


def number(title, description, query, unit="short", steps=(), **more):
    thresholds = [{"color": "text", "value": None}] + [{"color": color, "value": value} for value, color in steps]
    options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "none"}
    return panel(
        "stat",
        title,
        description,
        [(query, "")],
        unit=unit,
        width=4,
        height=4,
        options=options,
        thresholds={"mode": "absolute", "steps": thresholds},
        **more,
    )


def row(title):
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"w": 24, "h": 1}}


def table(title, description, queries, width=12, links=(), **more):
    """`queries` are (column, query) pairs, joined on their labels."""
    made = panel("table", title, description, [(query, "") for _, query in queries], width=width, **more)
    rename = {"src_ns": "Source namespace", "src_app": "Source", "src_type": "Source type", "src_name": "Source object"}
    rename |= {key.replace("src", "dst"): value.replace("Source", "Destination") for key, value in rename.items()}
    rename |= {"src_ip": "Source address", "dst_ip": "Destination address", "node": "Node"}
    rename |= {"Value" if len(queries) == 1 else f"Value #{chr(65 + i)}": name for i, (name, _) in enumerate(queries)}
    hidden = {name: True for name in ("Time", "cluster", "instance", "__name__", "job")}
    made["transformations"] = [{"id": "merge", "options": {}}] if len(queries) > 1 else []
    made["transformations"] += [
        {"id": "organize", "options": {"excludeByName": hidden, "renameByName": rename}},
        {"id": "sortBy", "options": {"sort": [{"field": queries[0][0], "desc": True}]}},
    ]
    made["fieldConfig"]["overrides"] = [
        {
            "matcher": {"id": "byName", "options": field},
            "properties": [{"id": "links", "value": [{"title": title, "url": url}]}],
        }
        for field, title, url in links
    ]
    return made


def link(uid, **variables):
    chosen = "".join(f"&var-{name}={value}" for name, value in variables.items())
    return f"/d/{uid}?${{datasource:queryparam}}&${{cluster:queryparam}}{chosen}"


def field(name):
    return f"${{__data.fields.{name}}}"


SOURCE_APP = ("Source", "Show this app", link("khan-app", namespace=field("src_ns"), app=field("src_app")))
DESTINATION_APP = ("Destination", "Show this app", link("khan-app", namespace=field("dst_ns"), app=field("dst_app")))
NODE_LINK = ("Node", "Show this node", link("khan-node", node=field("node")))


def overview():
    edges = f"edge:khan_connection:sum{{{EDGE}}}"
    idle = f"edge:khan_connection_idle:sum{{{EDGE}}}"
    ratio = f"node_table:khan_agent_table_entries:ratio{{{EDGE}}}"
    grown = f"{edges} - ({edges} offset $window)"
    unanswered, stalled, closed = (
        f"edge:{name}{{{EDGE}}}"
        for name in ("khan_connection_unanswered:sum", "khan_connection_stalled:sum", "khan_connections_closed:rate5m")
    )
    return [DATASOURCE, CLUSTER, WINDOW], [
        number("Connections", "Each connection once.", f"sum({edges})"),
        number("Growth", "Against the time chosen above.", f"sum({edges}) - sum({edges} offset $window)", min=None),
        number("Idle", "Share of all that had no packet for the agents' --idle-threshold; TCP, established.",
               f"(sum({idle}) or vector(0)) / sum({edges})", unit="percentunit"),
        number("Fullest table", "Of all nodes.", f"max({ratio})", unit="percentunit",
               steps=((0.8, "orange"), (0.95, "red"))),
        number("Nodes seen", "Agents that Prometheus reaches and that have a snapshot.",
               f"count(khan_agent_snapshot_age_seconds{{{EDGE}}} >= 0)"),
        number("From unknown or outside", "Connections whose client is not a pod, service or node of the cluster.",
               f'sum(edge:khan_connection:sum{{{EDGE},src_type=~"unknown|external"}}) or vector(0)'),
        row("Problems"),
        number("Without an answer", "Tries that wait for more than three seconds: TCP in SYN_SENT, and UDP where answers are usual.",
               f"sum({unanswered}) or vector(0)", steps=((1, "orange"),)),
        number("Stalled", "Connections whose data nobody acknowledges.", f"sum({stalled}) or vector(0)", steps=((1, "red"),)),
        number("Closed a second", "TCP connections that end.", f"sum({closed}) or vector(0)", unit="cps"),
        number("Tables nearly full", "Nodes that use 80% of a connection table.",
               f"count(max by (cluster, instance) ({ratio}) >= 0.8) or vector(0)", steps=((1, "orange"),)),
        number("Blind agents", "Agents that cannot see everything, or have no names.",
               f"count(sum by (cluster, instance) (khan_agent_blind{{{EDGE}}}) > 0) or vector(0)", steps=((1, "orange"),)),
        number("Alerts", "Khan's alerts that fire now.",
               f'count(ALERTS{{{EDGE},alertname=~"Khan.+",alertstate="firing"}}) or vector(0)', steps=((1, "red"),)),
        table("Going nowhere", "Pairs with tries that nobody answers, and with data that nobody acknowledges.",
              [("Unanswered", f"topk(20, {unanswered})"), ("Stalled", f"topk(20, {stalled})")],
              links=(SOURCE_APP, DESTINATION_APP)),
        graph("Opened and closed", "The ten pairs whose connections end most often. Churn is where few are open beside.",
              (f"topk(10, {closed})", BOTH), unit="cps"),
        row("Connections"),
        graph("Largest edges", "The ten pairs of apps with the most connections.", (f"topk(10, {edges})", BOTH), height=10),
        table("Edges", "With growth against the time chosen above, and idle connections.",
              [("Connections", f"topk(50, {edges})"), ("Growth", grown), ("Idle", idle)],
              height=10, links=(SOURCE_APP, DESTINATION_APP)),
        graph("Growth", "The ten pairs that grew most against the time chosen above.", (f"topk(10, {grown} > 0)", BOTH)),
        table("New edges", "Pairs that had no connection at the time chosen above.",
              [("Connections", f"topk(20, {edges} unless {edges} offset $window)")], links=(SOURCE_APP, DESTINATION_APP)),
        graph("Table fill by node", "Entries of the fullest connection table, eBPF maps included, over its limit.",
              (f"topk(20, max by (node, instance) ({ratio}))", "{{node}} {{instance}}"),
              unit="percentunit", max=1),
        table("Who fills the tables", "Entries by node and the app that opened them. Connections of both sides.",
              [("Entries", f"topk(20, sum by (node, src_type, src_ns, src_app) (node_source:khan_connection:sum{{{EDGE}}}))")],
              links=(NODE_LINK, SOURCE_APP)),
    ]


def app():
    into = f'edge:khan_connection:sum{{{EDGE},dst_ns=~"$namespace",dst_app=~"$app"}}'
    out = f'edge:khan_connection:sum{{{EDGE},src_ns=~"$namespace",src_app=~"$app"}}'
    raw_into = f'khan_connection{{{RAW},dst_ns=~"$namespace",dst_app=~"$app"}}'
    raw_out = f'khan_connection{{{RAW},src_ns=~"$namespace",src_app=~"$app"}}'
    idle = out.replace("khan_connection:", "khan_connection_idle:")
    return [DATASOURCE, CLUSTER, NAMESPACE, APP, WINDOW], [
        number("To it", "Connections that others opened.", f"sum({into}) or vector(0)"),
        number("From it", "Connections that it opened.", f"sum({out}) or vector(0)"),
        number("Idle, from it", "Of those, without a packet for the agents' --idle-threshold.", f"sum({idle}) or vector(0)"),
        number("Clients", "Pods and addresses that talk to it.",
               f"count(count by (src_type, src_ip) ({raw_into})) or vector(0)"),
        number("Share of the largest pod", "One pod that holds nearly all it opened is where a leak is.",
               f'max(sum by (src_name) ({raw_out})) / sum({raw_out})', unit="percentunit"),
        number("Growth, to it", "Against the time chosen above.", f"(sum({into}) - sum({into} offset $window)) or vector(0)", min=None),
        graph("Who talks to it", "The ten largest.", (f"topk(10, sum by (src_type, src_ns, src_app) ({into}))", FROM)),
        graph("Whom it talks to", "The ten largest.", (f"topk(10, sum by (dst_type, dst_ns, dst_app) ({out}))", TO)),
        table("Its clients, one by one", "By pod or address, the fifty largest.",
              [("Connections", f"topk(50, sum by (src_type, src_ns, src_app, src_name, src_ip) ({raw_into}))")],
              links=(SOURCE_APP,)),
        table("Its own pods", "What each pod holds, the fifty largest.",
              [("Connections", f"topk(50, sum by (node, src_name, dst_type, dst_ns, dst_app) ({raw_out}))")],
              links=(NODE_LINK, DESTINATION_APP)),
    ]


def node():
    here = EDGE + ',instance=~"$instance"'
    limit = f"max(khan_conntrack_entries_limit{{{here}}})"
    ratio = f"node_table:khan_agent_table_entries:ratio{{{here}}}"
    return [DATASOURCE, CLUSTER, NODE, INSTANCE], [
        number("Table fill", "Of the fullest table, eBPF maps included.", f"max({ratio})",
               unit="percentunit", steps=((0.8, "orange"), (0.95, "red"))),
        number("Entries", "Of every protocol and table.", f"sum(khan_conntrack_entries{{{here}}})"),
        number("Limit", "nf_conntrack_max.", limit),
        number("Full in", "If it goes on as in the last quarter of an hour; empty while the table does not grow.",
               f"min(node:khan_conntrack_full:seconds{{{here}}})", unit="s"),
        number("Connections", "TCP, UDP and SCTP; both sides.", f"sum(node_source:khan_connection:sum{{{here}}})"),
        number("Snapshot age", "Of the latest scan.", f"max(khan_agent_snapshot_age_seconds{{{here}}})", unit="s"),
        graph("Who opened the connections", "The ten apps with the most entries.",
              (f"topk(10, node_source:khan_connection:sum{{{here}}})", FROM)),
        graph("Whom the connections lead to", "The ten apps with the most entries.",
              (f"topk(10, node_destination:khan_connection:sum{{{here}}})", TO)),
        graph("Entries by protocol, and the limit", "All entries, those of eBPF maps included; the limit is the kernel's.",
              (f"sum by (protocol) (khan_conntrack_entries{{{here}}})", "{{protocol}}"), (limit, "limit")),
        graph("Fill by table", "Entries over the limit: the kernel's table, and eBPF maps where the node has some.",
              (f"max by (table) ({ratio})", "{{table}}"), unit="percentunit"),
        graph("The kernel's counters", "A second. drop and early_drop mean that the table is full.",
              (f"sum by (stat) (rate(khan_conntrack_stat_total{{{here}}}[$__rate_interval]))", "{{stat}}"), width=24, unit="cps"),
        table("Connections of this node", "The fifty largest rows, both sides.",
              [("Connections", f"topk(50, sum by (side, src_type, src_ns, src_app, src_name, dst_type, dst_ns, dst_app, dst_name) (khan_connection{{{here}}}))")],
              width=24, links=(SOURCE_APP, DESTINATION_APP)),
    ]


def health():
    def agent(metric):
        return f"khan_agent_{metric}{{{EDGE}}}"

    def controller(metric, more=""):
        return f"khan_controller_{metric}{{{EDGE}{more}}}"

    rate = "[$__rate_interval]"
    return [DATASOURCE, CLUSTER], [
        number("Agents with a snapshot", "Of those that Prometheus reaches.", f"count({agent('snapshot_age_seconds')} >= 0)"),
        number("Agents without", "They answer, but have no snapshot that is fresh enough.",
               f"count({agent('snapshot_age_seconds')} != {agent('snapshot_age_seconds')}) or vector(0)", steps=((1, "red"),)),
        number("Unresolved addresses", "Inside the cluster's ranges, but without a known owner; all nodes.",
               f"sum({agent('unresolved_addresses')})"),
        number("Folded series", "Shown by app or as __other__ only, to keep within --max-series; all nodes.",
               f"sum({agent('folded_series')})"),
        number("Addresses known", "To the controllers.", f"max(sum by (instance) ({controller('addresses')}))"),
        number("Watches in sync", "0 while a controller has not read a resource's first list; 1 else, and where it reads a file.",
               f"min({controller('watch_synced')}) or min({controller('build_info')})"),
        graph("Age of snapshots", "The ten oldest.", (f"topk(10, {agent('snapshot_age_seconds')})", "{{instance}}"), unit="s"),
        graph("Age of names", "Time since the controller answered; the ten oldest.",
              (f"topk(10, {agent('names_age_seconds')})", "{{instance}}"), unit="s"),
        graph("Wall time of a scan", "The ten slowest.", (f"topk(10, {agent('scan_duration_seconds')})", "{{instance}}"), unit="s"),
        graph("CPU of scans", "Share of one core, the kernel's part included; the ten largest.",
              (f"topk(10, rate({agent('scan_cpu_seconds_total')}{rate}))", "{{instance}}"), unit="percentunit"),
        graph("Memory", "Resident, of the ten largest agents.",
              (f"topk(10, process_resident_memory_bytes{{{EDGE}}} and on (cluster, job, instance) {agent('build_info')})", "{{instance}}"), unit="bytes"),
        graph("Series on the pages", "The ten largest pages.", (f"topk(10, {agent('series')})", "{{instance}}")),
        graph("Failures", "Failed scans and failed questions to the controller, a second.",
              (f"sum(rate({agent('controller_errors_total')}{rate}))", "controller"),
              (f"sum(rate(khan_agent_scans_total{{{EDGE},result!=\"success\"}}{rate})) or vector(0)", "scans"), unit="cps"),
        graph("Questions to the controller", "A second, by HTTP status.",
              (f"sum by (code) (rate({controller('resolve_requests_total')}{rate}))", "{{code}}"), unit="reqps"),
        graph("Answer time of the controller", "99 of 100 answers are faster.",
              (f"histogram_quantile(0.99, sum by (le) (rate({controller('resolve_duration_seconds_bucket')}{rate})))", "99 %"), unit="s"),
        graph("What the controller knows", "Addresses that have an owner, by its type.",
              (f"max by (type) ({controller('addresses')})", "{{type}}")),
    ]


def place(panels):
    """Left to right, top to bottom, on Grafana's 24 columns."""
    x = y = row = 0
    for number, made in enumerate(panels):
        at = made["gridPos"]
        if x + at["w"] > 24:
            x, y, row = 0, y + row, 0
        made["id"] = number + 1
        made["gridPos"] = {"x": x, "y": y} | at
        x, row = x + at["w"], max(row, at["h"])
    return panels


def dashboard(uid, made):
    variables, panels = made
    return {
        "uid": uid,
        "title": DASHBOARDS[uid],
        "tags": ["khan"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": variables},
        "annotations": {"list": []},
        "links": [
            {
                "title": title,
                "type": "link",
                "url": f"/d/{other}",
                "keepTime": True,
                "includeVars": True,
                "icon": "dashboard",
                "targetBlank": False,
            }
            for other, title in DASHBOARDS.items()
            if other != uid
        ],
        "panels": place(panels),
    }


def main():
    made = {"khan": overview(), "khan-app": app(), "khan-node": node(), "khan-health": health()}
    behind = []
    for uid, content in made.items():
        path = FOLDER / f"{uid}.json"
        text = json.dumps(dashboard(uid, content), indent=2, ensure_ascii=False) + "\n"
        if sys.argv[1:] == ["--write"]:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            behind.append(path.name)
    if behind:
        sys.exit(f"deploy/grafana: {', '.join(behind)}: not what dashboards.py makes; run deploy/check --write")
    print(f"Dashboards: {len(made)}, with {sum(len(panels) for _, panels in made.values())} panels, as dashboards.py makes them")


main()

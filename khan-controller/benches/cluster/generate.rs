//! A cluster of any size, made up object by object: nothing of it is held but how often each pod was replaced.

use std::fmt::Write;
use std::net::Ipv4Addr;

/// Pods that share a node.
const PODS_A_NODE: usize = 30;
/// Pods of an app, whose service they answer for.
const PODS_AN_APP: usize = 10;

/// Sizes of the cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) pods: usize,
    pub(crate) services: usize,
    pub(crate) nodes: usize,
}

impl Sizes {
    /// Every pod answers for its app's service, where it has one.
    pub(crate) fn slices(self) -> usize {
        self.pods.div_ceil(PODS_AN_APP).min(self.services)
    }
}

/// The slice that holds pod number `n`.
pub(crate) fn slice_of(n: usize) -> usize {
    n / PODS_AN_APP
}

/// Address of pod number `n`; its successors get the same.
pub(crate) fn pod_ip(n: usize) -> Ipv4Addr {
    ipv4(0x0a80_0000 + (n / PODS_A_NODE) * 256 + 2 + n % PODS_A_NODE)
}

/// Cluster IP of service number `n`.
pub(crate) fn service_ip(n: usize) -> Ipv4Addr {
    ipv4(0x0a60_0001 + n)
}

fn node_ip(n: usize) -> Ipv4Addr {
    ipv4(0xc0a8_0000 + n)
}

fn ipv4(bits: usize) -> Ipv4Addr {
    u32::try_from(bits).expect("an IPv4 address").into()
}

fn uid(kind: u8, n: usize, life: u32) -> String {
    format!("{kind:08x}-{:04x}-4000-8000-{n:012x}", life & 0xffff)
}

/// Name of pod number `n` in its `life`.
pub(crate) fn pod_name(n: usize, life: u32) -> String {
    format!(
        "app-{}-{:010x}-{:05x}",
        n / PODS_AN_APP,
        (n / PODS_AN_APP) * 7919 + 0x6d4c_f56d,
        (n * 2_654_435_761 + life as usize) & 0xf_ffff
    )
}

/// A pod as the API server writes it: 10 to 20 KB, most of it managed fields, annotations, containers and conditions.
pub(crate) fn pod(n: usize, life: u32, version: u64) -> String {
    let (ip, node, app) = (pod_ip(n), n / PODS_A_NODE, n / PODS_AN_APP);
    let hash = format!("{:010x}", app * 7919 + 0x6d4c_f56d);
    let mut text = String::with_capacity(21_000);
    let _ = write!(
        text,
        r#"{{"metadata":{{"name":"{name}","generateName":"app-{app}-{hash}-","namespace":"team-{team}","uid":"{uid}","resourceVersion":"{version}","creationTimestamp":"2026-11-22T10:00:00Z","labels":{{"app":"app-{app}","pod-template-hash":"{hash}","app.kubernetes.io/name":"app-{app}","app.kubernetes.io/part-of":"platform","security.istio.io/tlsMode":"istio"}},"annotations":{{"cni.projectcalico.org/podIP":"{ip}/32","kubectl.kubernetes.io/restartedAt":"2026-11-20T10:00:00Z","sidecar.istio.io/status":"{filler}"}},"ownerReferences":[{{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"app-{app}-{hash}","uid":"{owner}","controller":true,"blockOwnerDeletion":true}}],"managedFields":["#,
        name = pod_name(n, life),
        team = app % 200,
        uid = uid(1, n, life),
        owner = uid(9, app, 0),
        filler = "x".repeat(800),
    );
    for manager in 0..3 + n % 5 {
        let comma = if manager == 0 { "" } else { "," };
        let _ = write!(
            text,
            r#"{comma}{{"manager":"manager-{manager}","operation":"Update","apiVersion":"v1","time":"2026-11-22T10:00:00Z","fieldsType":"FieldsV1","fieldsV1":{{"f:status":{{"#
        );
        for field in 0..18 {
            let comma = if field == 0 { "" } else { "," };
            let _ = write!(
                text,
                r#"{comma}"k:{{\"type\":\"Condition{field}\"}}":{{".":{{}},"f:lastProbeTime":{{}},"f:lastTransitionTime":{{}},"f:status":{{}}}}"#
            );
        }
        text.push_str("}}}");
    }
    let _ = write!(
        text,
        r#"]}},"spec":{{"nodeName":"node-{node}","restartPolicy":"Always","serviceAccountName":"app","containers":["#
    );
    for container in 0..2 + n % 3 {
        let comma = if container == 0 { "" } else { "," };
        let _ = write!(
            text,
            r#"{comma}{{"name":"container-{container}","image":"registry.example.org/team/app-{app}:v1.2.3","args":["--listen=0.0.0.0:8080"],"env":["#
        );
        for variable in 0..20 {
            let comma = if variable == 0 { "" } else { "," };
            let _ = write!(
                text,
                r#"{comma}{{"name":"VARIABLE_NUMBER_{variable}","value":"http://service-{variable}.team.svc.cluster.local:8080/path"}}"#
            );
        }
        text.push_str(r#"],"resources":{"limits":{"cpu":"1","memory":"1Gi"},"requests":{"cpu":"100m","memory":"256Mi"}},"volumeMounts":[{"name":"token","readOnly":true,"mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}]}"#);
    }
    let _ = write!(
        text,
        r#"]}},"status":{{"phase":"Running","conditions":[{{"type":"Initialized","status":"True","lastTransitionTime":"2026-11-22T10:00:01Z"}},{{"type":"Ready","status":"True","lastTransitionTime":"2026-11-22T10:00:09Z"}}],"hostIP":"{host}","podIP":"{ip}","podIPs":[{{"ip":"{ip}"}}],"startTime":"2026-11-22T10:00:00Z","qosClass":"Burstable"}}}}"#,
        host = node_ip(node),
    );
    text
}

/// A service.
pub(crate) fn service(n: usize, version: u64) -> String {
    let ip = service_ip(n);
    format!(
        r#"{{"metadata":{{"name":"service-{n}","namespace":"team-{}","uid":"{}","resourceVersion":"{version}","creationTimestamp":"2026-11-01T00:00:00Z","labels":{{"app":"app-{n}"}},"annotations":{{"meta.helm.sh/release-name":"{}"}}}},"spec":{{"type":"ClusterIP","clusterIP":"{ip}","clusterIPs":["{ip}"],"ports":[{{"name":"http","protocol":"TCP","port":80,"targetPort":8080}}],"selector":{{"app":"app-{n}"}}}},"status":{{"loadBalancer":{{}}}}}}"#,
        n % 200,
        uid(2, n, 0),
        "x".repeat(700),
    )
}

/// The slice of service number `n`: the pods of its app, each in its present life, but for one that is `away`.
pub(crate) fn slice(n: usize, lives: &[u32], away: Option<usize>, version: u64) -> String {
    let mut text = format!(
        r#"{{"metadata":{{"name":"service-{n}-{:05x}","generateName":"service-{n}-","namespace":"team-{team}","uid":"{}","resourceVersion":"{version}","creationTimestamp":"2026-11-01T00:00:00Z","labels":{{"app":"app-{n}","endpointslice.kubernetes.io/managed-by":"endpointslice-controller.k8s.io","kubernetes.io/service-name":"service-{n}"}},"annotations":{{"endpoints.kubernetes.io/last-change-trigger-time":"2026-11-22T10:00:09Z"}},"ownerReferences":[{{"apiVersion":"v1","kind":"Service","name":"service-{n}","uid":"{}","controller":true,"blockOwnerDeletion":true}}]}},"addressType":"IPv4","ports":[{{"name":"http","port":8080,"protocol":"TCP"}}],"endpoints":["#,
        n & 0xf_ffff,
        uid(4, n, 0),
        uid(2, n, 0),
        team = n % 200,
    );
    let pods = (n * PODS_AN_APP)..((n + 1) * PODS_AN_APP).min(lives.len());
    for (place, pod) in pods.filter(|pod| away != Some(*pod)).enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let _ = write!(
            text,
            r#"{comma}{{"addresses":["{}"],"conditions":{{"ready":true,"serving":true,"terminating":false}},"nodeName":"node-{}","targetRef":{{"kind":"Pod","namespace":"team-{}","name":"{}","uid":"{}"}},"zone":"zone-{}"}}"#,
            pod_ip(pod),
            pod / PODS_A_NODE,
            n % 200,
            pod_name(pod, lives[pod]),
            uid(1, pod, lives[pod]),
            n % 3,
        );
    }
    text.push_str("]}");
    text
}

/// A node.
pub(crate) fn node(n: usize, version: u64) -> String {
    let range = ipv4(0x0a80_0000 + n * 256);
    format!(
        r#"{{"metadata":{{"name":"node-{n}","uid":"{}","resourceVersion":"{version}","creationTimestamp":"2026-10-01T00:00:00Z","labels":{{"kubernetes.io/hostname":"node-{n}"}}}},"spec":{{"podCIDR":"{range}/24","podCIDRs":["{range}/24"]}},"status":{{"addresses":[{{"type":"Hostname","address":"node-{n}"}},{{"type":"InternalIP","address":"{}"}}],"images":[{{"names":["{}"],"sizeBytes":1}}]}}}}"#,
        uid(3, n, 0),
        node_ip(n),
        "x".repeat(6000),
    )
}

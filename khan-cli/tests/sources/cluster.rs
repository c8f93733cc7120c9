//! Agents behind an API server: found, reached through it in either way, and explained where it says no.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use khan_api::routes;
use khan_cli::feed::{self, Feed, Link, News};
use khan_cli::model::{NodeState, SourceInfo, View};
use khan_cli::sources::agents::discovery::{DiscoveryError, DiscoveryOptions, SELECTOR, discover};
use khan_cli::sources::agents::poll::{self, Plan};
use khan_cli::sources::agents::route::DirectClient;
use khan_cli::sources::agents::route::pod::Connect;
use khan_cli::sources::agents::targets::Targets;
use khan_cli::sources::cluster::{Cluster, ClusterError, ClusterOptions};
use khan_cli::sources::controller::Controller;
use khan_cli::sources::exchange::Bounds;
use khan_cli::sources::http_config::HttpConfig;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::poll::{snapshot, view};
use super::server::{Answer, Request, Server};

/// A cluster of two nodes with one agent each, whose API server can be told to refuse.
struct World {
    api: Server,
    agents: [Server; 2],
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Debug, Default)]
struct State {
    /// `VERB RESOURCE` that are forbidden; with ` everywhere` only without a namespace.
    forbidden: BTreeSet<&'static str>,
    /// The proxy does not reach pods.
    blind: bool,
    /// Pods that do not exist any more.
    deleted: BTreeSet<&'static str>,
    /// The whole API server answers this.
    broken: Option<u16>,
}

impl World {
    async fn start() -> Self {
        let agent = |node: &'static str| {
            Server::start(move |request: &Request| match request.path.split('?').next() {
                Some(routes::SNAPSHOT) => Answer::json(snapshot(node, 1)),
                _ => Answer::json(json!({"node": node, "matched": 1, "connections": []})),
            })
        };
        let agents = [agent("n1").await, agent("n2").await];
        let addresses = [agents[0].address, agents[1].address];
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        let api = Server::start(move |request| serve(request, &shared.lock().unwrap().clone(), addresses)).await;
        Self { api, agents, state }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) {
        change(&mut self.state.lock().unwrap());
    }

    async fn cluster(&self) -> Arc<Cluster> {
        let file = kubeconfig(&self.api.url());
        let options = ClusterOptions { kubeconfig: Some(file.path().to_owned()), ..ClusterOptions::default() };
        Arc::new(Cluster::open(&options).await.unwrap())
    }

    async fn discover(&self, connect: Connect) -> Result<watch::Receiver<Targets>, DiscoveryError> {
        discover(self.cluster().await, options(connect)).await
    }

    async fn feed(&self, connect: Connect) -> Feed {
        let (feeder, feed) = feed::channel(View::default());
        let bounds = Bounds { deadline: Duration::from_secs(5), ..Bounds::default() };
        let plan = Plan { interval: Duration::from_secs(1), bounds, ..Plan::default() };
        tokio::spawn(poll::run(feeder, self.discover(connect).await.unwrap(), plan, SourceInfo::default()));
        feed
    }

    fn asked(&self, part: &str) -> usize {
        self.api.requests().iter().filter(|request| request.path.contains(part)).count()
    }
}

fn options(connect: Connect) -> DiscoveryOptions {
    DiscoveryOptions {
        namespace: None,
        selector: SELECTOR.into(),
        port: None,
        connect,
        nodes: Vec::new(),
        client: DirectClient::new(HttpConfig::default()).unwrap(),
    }
}

pub(crate) fn kubeconfig(server: &str) -> tempfile::NamedTempFile {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "prod",
        "contexts": [{"name": "prod", "context": {"cluster": "c", "user": "jane"}}],
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "jane", "user": {"token": "s3cret"}}],
    });
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(config.to_string().as_bytes()).unwrap();
    file
}

fn refuse(code: u16, reason: &str, message: &str, details: &Value) -> Answer {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason,
        "message": message, "code": code, "details": details});
    Answer::Http(code, vec![("content-type", "application/json".into())], serde_json::to_vec(&status).unwrap())
}

fn forbid(verb: &str, resource: &str, place: &str) -> Answer {
    let message =
        format!("pods is forbidden: User \"jane\" cannot {verb} resource \"{resource}\" in API group \"\" {place}");
    refuse(403, "Forbidden", &message, &json!({}))
}

const PODS: [&str; 2] = ["khan-agent-1", "khan-agent-2"];

fn pod(name: &str, address: SocketAddr) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "khan", "uid": format!("uid-{name}"),
            "labels": {"app.kubernetes.io/name": "khan", "app.kubernetes.io/component": "agent"}},
        "spec": {"nodeName": name.replace("khan-agent-", "n"), "hostNetwork": true,
            "containers": [{"name": "agent", "ports": [{"name": "http", "containerPort": address.port()}]}]},
        "status": {"phase": "Running", "podIP": "127.0.0.1", "hostIP": "127.0.0.1"}
    })
}

fn serve(request: &Request, state: &State, agents: [SocketAddr; 2]) -> Answer {
    if let Some(code) = state.broken {
        return Answer::text(code, "the gateway is on holiday");
    }
    if request.headers.get("authorization").is_none_or(|value| value != "Bearer s3cret") {
        return refuse(401, "Unauthorized", "Unauthorized", &json!({}));
    }
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let words: Vec<_> = path.trim_start_matches('/').split('/').collect();
    let live = || PODS.into_iter().zip(agents).filter(|(name, _)| !state.deleted.contains(name));
    let find = |name: &str| live().find(|(known, _)| *known == name).map(|(_, address)| address);
    match &words[..] {
        ["api", "v1", "pods"] if state.forbidden.contains("list pods everywhere") => {
            forbid("list", "pods", "at the cluster scope")
        }
        ["api", "v1", "namespaces", _, "pods"] if state.forbidden.contains("list pods") => {
            forbid("list", "pods", "in the namespace \"khan\"")
        }
        ["api", "v1", "pods"] | ["api", "v1", "namespaces", "khan", "pods"] => {
            assert!(query.contains("labelSelector=app.kubernetes.io%2Fname%3Dkhan"), "{query}");
            if query.contains("component%3Dcontroller") {
                let pod = json!({"metadata": {"name": "khan-controller-1", "namespace": "khan", "uid": "c"},
                    "spec": {"nodeName": "n1", "containers": [{"ports": [{"name": "http", "containerPort": 14719}]}]},
                    "status": {"phase": "Running"}});
                return Answer::json(json!({"kind": "PodList", "items": [pod]}));
            }
            let items: Vec<_> = live().map(|(name, address)| pod(name, address)).collect();
            // One pod a page.
            let (first, rest) = if query.contains("continue=more") { (1, "") } else { (0, "more") };
            let rest = if items.len() > 1 { rest } else { "" };
            let page: Vec<_> = items.into_iter().skip(first).take(1).collect();
            Answer::json(json!({"kind": "PodList", "metadata": {"continue": rest}, "items": page}))
        }
        ["api", "v1", "namespaces", _, "pods"] => Answer::json(json!({"kind": "PodList", "items": []})),
        ["api", "v1", "namespaces", "khan", "pods", _, "proxy", ..] if state.forbidden.contains("get pods/proxy") => {
            forbid("get", "pods/proxy", "in the namespace \"khan\"")
        }
        ["api", "v1", "namespaces", "khan", "pods", "khan-controller-1:14719", "proxy", "v1", "identities", ip] => {
            Answer::json(story(ip))
        }
        ["api", "v1", "namespaces", "khan", "pods", target, "proxy", rest @ ..] => {
            let (name, port) = target.split_once(':').unwrap();
            let Some(address) = find(name) else {
                return refuse(
                    404,
                    "NotFound",
                    &format!("pods \"{name}\" not found"),
                    &json!({"name": name, "kind": "pods"}),
                );
            };
            assert_eq!(port, address.port().to_string());
            if state.blind {
                let message = format!("error trying to reach service: dial tcp {address}: i/o timeout");
                return refuse(503, "ServiceUnavailable", &message, &json!({}));
            }
            assert_eq!(rest, ["v1", "snapshot"]);
            Answer::json(snapshot(&name.replace("khan-agent-", "n"), 1))
        }
        ["api", "v1", "namespaces", "khan", "pods", _, "portforward"]
            if state.forbidden.contains("create pods/portforward") =>
        {
            forbid("create", "pods/portforward", "in the namespace \"khan\"")
        }
        ["api", "v1", "namespaces", "khan", "pods", name, "portforward"] => match find(name) {
            Some(address) => Answer::Forward(address),
            None => refuse(404, "NotFound", "no such pod", &json!({"name": name, "kind": "pods"})),
        },
        ["api", "v1", "namespaces", "khan", "services", "khan-controller:http", "proxy", "v1", "identities", ip] => {
            if state.forbidden.contains("get services/proxy") {
                return forbid("get", "services/proxy", "in the namespace \"khan\"");
            }
            Answer::json(story(ip))
        }
        _ => refuse(404, "NotFound", "the server could not find the requested resource", &json!({})),
    }
}

fn story(ip: &str) -> Value {
    json!({"ip": ip, "type": "pod", "ns": "shop", "app": "web", "workload": "web", "name": "web-1", "node": "n1",
        "since": "2026-11-22T10:00:00Z",
        "previous": [{"type": "pod", "ns": "shop", "name": "web-0", "until": "2026-11-22T09:59:00Z"}],
        "claimants": [{"type": "pod", "ns": "shop", "name": "web-1", "node": "n1"}]})
}

#[tokio::test]
async fn the_controller_tells_whose_an_address_is_and_was() {
    let world = World::start().await;
    let client = DirectClient::new(HttpConfig::default()).unwrap();
    let controller = Controller::of(world.cluster().await, None, client.clone(), Bounds::default());
    let ip = "10.0.1.1".parse().unwrap();
    let found = controller.identity(ip).await.unwrap();
    assert_eq!((found.owner.name.as_str(), found.previous[0].owner.name.as_str()), ("web-1", "web-0"));
    assert_eq!(world.asked("services/khan-controller:http"), 1);
    // Whoever may ask agents through the pod proxy may ask the controller's pod, too.
    world.change(|state| state.forbidden.insert("get services/proxy"));
    assert_eq!(controller.identity(ip).await.unwrap(), found);
    assert_eq!(world.asked("pods/khan-controller-1:14719/proxy/v1/identities/10.0.1.1"), 1);

    let direct = Server::start(|request| Answer::json(story(request.path.rsplit('/').next().unwrap()))).await;
    let controller = Controller::at(&direct.url(), client.clone(), Bounds::default()).unwrap();
    assert_eq!(controller.identity(ip).await.unwrap(), found);
    assert_eq!(direct.requests()[0].path, "/v1/identities/10.0.1.1");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = Controller::at(&free.to_string(), client, Bounds::default()).unwrap();
    let error = nobody.identity(ip).await.unwrap_err().to_string();
    assert_eq!(error, format!("http://{free} refused the connection"));
}

fn whole(view: &View) -> bool {
    view.settled && view.counted_nodes() == 2 && view.count(NodeState::Ok) == 2
}

#[tokio::test]
async fn agents_are_found_and_asked_through_the_pod_proxy() {
    let world = World::start().await;
    let mut feed = world.feed(Connect::Auto).await;
    let view = view(&mut feed, "both agents", whole).await;
    assert_eq!(view.connections(), 13);
    let agents: Vec<_> = view.nodes.iter().map(|node| (node.node.as_str(), node.agent.as_str())).collect();
    assert_eq!(agents, [("n1", "khan/khan-agent-1"), ("n2", "khan/khan-agent-2")]);
    assert_eq!(world.asked("portforward"), 0);
    assert_eq!(world.agents[0].requests().len(), 0, "nobody went past the API server");
}

#[tokio::test]
async fn a_closed_proxy_is_gone_round_by_a_port_forward_that_is_kept_open() {
    let world = World::start().await;
    world.change(|state| state.forbidden.insert("get pods/proxy"));
    let mut feed = world.feed(Connect::Auto).await;
    assert_eq!(view(&mut feed, "both agents", whole).await.connections(), 13);
    let asked = || world.agents.iter().map(|agent| agent.requests().len()).min().unwrap();
    super::poll::wait("three rounds", || asked() >= 3).await;
    assert_eq!(world.asked("portforward"), 2);
    assert!(world.asked("/proxy/") <= 2, "what one route learnt, all know: {}", world.asked("/proxy/"));
}

#[tokio::test]
async fn a_proxy_that_leads_nowhere_is_gone_round_too() {
    let world = World::start().await;
    world.change(|state| state.blind = true);
    let mut feed = world.feed(Connect::Auto).await;
    assert_eq!(view(&mut feed, "both agents", whole).await.connections(), 13);
    let world = World::start().await;
    world.change(|state| state.blind = true);
    let mut feed = world.feed(Connect::Proxy).await;
    let view = view(&mut feed, "both failed", |view| view.settled && view.count(NodeState::Failed) == 2).await;
    let expected = format!(
        "khan/khan-agent-1 cannot be reached from the API server (503 Service Unavailable: error trying to reach service: \
         dial tcp {}: i/o timeout)",
        world.agents[0].address
    );
    assert_eq!(view.nodes[0].failure.as_ref().unwrap().reason, expected);
}

#[tokio::test]
async fn every_way_can_be_asked_for_by_name() {
    for connect in [Connect::PortForward, Connect::Direct] {
        let world = World::start().await;
        let mut feed = world.feed(connect).await;
        assert_eq!(view(&mut feed, "both agents", whole).await.connections(), 13);
        assert_eq!(world.asked("/proxy/"), 0);
        assert_eq!(world.asked("portforward") > 0, connect == Connect::PortForward);
    }
}

#[tokio::test]
async fn a_refusal_names_verbs_and_resources_and_ends_when_they_are_granted() {
    let world = World::start().await;
    world.change(|state| state.forbidden = ["get pods/proxy", "create pods/portforward"].into());
    let mut feed = world.feed(Connect::Auto).await;
    let refused = view(&mut feed, "both refused", |view| view.settled && view.count(NodeState::Failed) == 2).await;
    assert_eq!(
        refused.nodes[0].failure.as_ref().unwrap().reason,
        "khan/khan-agent-1 was not asked, because this user may not get pods/proxy in namespace khan, and user \
         \"jane\" may not create pods/portforward in namespace khan"
    );
    let manifest = loop {
        if let News::Error { message, .. } = feed.news.recv().await.unwrap() {
            break message;
        }
    };
    assert!(manifest.contains("\nkind: ClusterRole\n") && manifest.contains("name: \"jane\""), "{manifest}");
    world.change(|state| state.forbidden.remove("get pods/proxy"));
    view(&mut feed, "granted", whole).await;
}

#[tokio::test]
async fn whoever_may_list_one_namespace_only_still_finds_the_agents_there() {
    let world = World::start().await;
    world.change(|state| state.forbidden.insert("list pods everywhere"));
    let targets = world.discover(Connect::Auto).await.unwrap();
    assert_eq!(targets.borrow().list.len(), 2);
    world.change(|state| state.forbidden.insert("list pods"));
    let error = world.discover(Connect::Auto).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot look for agents: user \"jane\" may not list pods in all namespaces");
    assert!(error.remedy().unwrap().contains("kind: ClusterRole\n"));
}

#[tokio::test]
async fn nobody_found_is_said_with_remedies() {
    let world = World::start().await;
    let options = DiscoveryOptions { namespace: Some("elsewhere".into()), ..options(Connect::Auto) };
    let targets = discover(world.cluster().await, options).await.unwrap();
    let note = targets.borrow().notes[0].clone();
    assert!(note.starts_with("no Khan agents found for app.kubernetes.io/name=khan,"), "{note}");
    assert!(note.contains("in namespace elsewhere: install them"), "{note}");
}

#[tokio::test]
async fn losing_the_api_server_ends_nothing() {
    let world = World::start().await;
    let mut feed = world.feed(Connect::Auto).await;
    view(&mut feed, "both agents", whole).await;
    world.change(|state| state.broken = Some(502));
    let stale = view(&mut feed, "both stale", |view| view.count(NodeState::Stale) == 2).await;
    assert_eq!(stale.connections(), 13);
    let reason = &stale.nodes[0].failure.as_ref().unwrap().reason;
    assert_eq!(reason, "khan/khan-agent-1 answered 502 Bad Gateway: the gateway is on holiday");
    let link = async {
        loop {
            if let News::Link(Link::Retrying { reason, .. }) = feed.news.recv().await.unwrap() {
                return reason;
            }
        }
    };
    let reason = tokio::time::timeout(Duration::from_secs(20), link).await.unwrap();
    let url = world.api.url();
    assert_eq!(
        reason,
        format!("the API server at {url} answered 502 Bad Gateway when asked for pods: the gateway is on holiday")
    );
    world.change(|state| state.broken = None);
    view(&mut feed, "both are back", whole).await;
}

#[tokio::test]
async fn a_pod_that_is_deleted_leaves() {
    let world = World::start().await;
    let mut feed = world.feed(Connect::Auto).await;
    view(&mut feed, "both agents", whole).await;
    world.change(|state| state.deleted.insert("khan-agent-1"));
    let fading = view(&mut feed, "one fades", |view| view.count(NodeState::Stale) == 1).await;
    assert_eq!(fading.nodes[0].failure.as_ref().unwrap().reason, "khan/khan-agent-1 is gone");
    let left = view(&mut feed, "one is left", |view| view.nodes.len() == 1).await;
    // The server's node counts for the client's node, which does not report any more.
    assert_eq!(left.connections(), 13);
}

#[tokio::test]
async fn a_kubeconfig_that_cannot_be_used_says_why() {
    let open = |file: &str, context: Option<&str>| {
        let options = ClusterOptions {
            kubeconfig: Some(file.into()),
            context: context.map(str::to_owned),
            ..ClusterOptions::default()
        };
        async move { Cluster::open(&options).await.unwrap_err().to_string() }
    };
    let absent = open("/no/such/file", None).await;
    assert_eq!(absent, "kubeconfig /no/such/file: No such file or directory (os error 2)");
    let file = kubeconfig("http://127.0.0.1:1");
    let path = file.path().to_str().unwrap().to_owned();
    assert_eq!(open(&path, Some("dev")).await, format!("kubeconfig {path}: it has no context \"dev\""));
    std::fs::write(file.path(), "{\"a\": [").unwrap();
    assert!(open(&path, None).await.starts_with(&format!("kubeconfig {path}: failed to parse")));
}

#[tokio::test]
async fn an_exec_plugin_that_fails_is_quoted_and_never_gets_the_terminal() {
    let plugin = json!({"apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/sh", "interactiveMode": "Always",
        "args": ["-c", "test -p /dev/stdin && echo \"$KUBERNETES_EXEC_INFO\" | grep -q '\"interactive\":false' && echo log in first >&2; exit 7"]});
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "prod",
        "contexts": [{"name": "prod", "context": {"cluster": "c", "user": "jane"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "jane", "user": {"exec": plugin}}],
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), config.to_string()).unwrap();
    let options = ClusterOptions { kubeconfig: Some(file.path().to_owned()), ..ClusterOptions::default() };
    let error = Cluster::open(&options).await.unwrap_err();
    assert!(matches!(error, ClusterError::Credentials { .. }));
    let expected = "cannot get the credentials for context \"prod\": /bin/sh failed with exit status: 7: log in first";
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn credentials_that_expire_are_read_again() {
    let world = World::start().await;
    let file = kubeconfig(&world.api.url());
    let path = file.path().to_owned();
    let renewed = std::fs::read_to_string(&path).unwrap();
    let expired = |text: &str| std::fs::write(&path, text.replace("s3cret", "expired")).unwrap();
    assert!(renewed.contains("s3cret"), "{renewed}");
    expired(&renewed);
    let options = ClusterOptions { kubeconfig: Some(path.clone()), ..ClusterOptions::default() };
    let cluster = Arc::new(Cluster::open(&options).await.unwrap());
    // Somebody logs in while we hold the old ones.
    std::fs::write(&path, &renewed).unwrap();
    let targets = discover(Arc::clone(&cluster), self::options(Connect::Auto)).await.unwrap();
    assert_eq!(targets.borrow().list.len(), 2);
    // Over a port-forward, too; and the answer that nothing changed is told, not asked for again and again.
    expired(&renewed);
    let cluster = Arc::new(Cluster::open(&options).await.unwrap());
    let refused = discover(Arc::clone(&cluster), self::options(Connect::Auto)).await.unwrap_err();
    assert!(refused.to_string().ends_with("(Unauthorized): log in again"), "{refused}");
    let asked = world.api.requests().len();
    discover(cluster, self::options(Connect::Auto)).await.unwrap_err();
    assert_eq!(world.api.requests().len() - asked, 1, "read again a moment ago");
}

#[tokio::test]
async fn flags_replace_what_the_kubeconfig_says() {
    let world = World::start().await;
    let file = kubeconfig(&world.api.url());
    let open = async |options: ClusterOptions| {
        let options = ClusterOptions { kubeconfig: Some(file.path().to_owned()), ..options };
        discover(Arc::new(Cluster::open(&options).await.unwrap()), self::options(Connect::Auto)).await
    };
    let wrong = open(ClusterOptions { token: Some("wrong".into()), ..ClusterOptions::default() }).await.unwrap_err();
    let url = world.api.url();
    let expected = format!(
        "the API server at {url} does not accept the credentials of this kubeconfig (Unauthorized): log in again"
    );
    assert_eq!(wrong.to_string(), expected);
    let as_joe = ClusterOptions {
        impersonate: Some("joe".into()),
        impersonate_groups: vec!["ops".into()],
        ..ClusterOptions::default()
    };
    open(as_joe).await.unwrap();
    let request = world.api.requests().pop().unwrap();
    assert_eq!(
        (request.headers["impersonate-user"].as_str(), request.headers["impersonate-group"].as_str()),
        ("joe", "ops")
    );
}

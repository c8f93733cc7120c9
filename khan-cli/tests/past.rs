//! A real Prometheus that already has a quarter of an hour of a leak: the verdict is due at once, and so is the past of
//! whatever is told apart later.

use std::fmt::Write;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use khan_api::Timestamp;
use khan_cli::feed::{Feed, News};
use khan_cli::model::{History, Query, SourceInfo, View, project};
use khan_cli::screen::state::drill::Drill;
use khan_cli::sources::agents::route::DirectClient;
use khan_cli::sources::exchange::Bounds;
use khan_cli::sources::http_config::HttpConfig;
use khan_cli::sources::nodes::NodeChoice;
use khan_cli::sources::prometheus::client::Client;
use khan_cli::sources::prometheus::label_set::LabelSet;
use khan_cli::sources::prometheus::run::{self, Plan};
use khan_lab::Lab;
use khan_lab::prometheus::{Job, Prometheus};
use serde_json::Value;

const WINDOW: Duration = Duration::from_mins(15);
/// Seconds between two scrapes.
const EVERY: u64 = 15;

/// When `old` left, and when `young` came, in seconds before now.
const LEFT: u64 = 480;
const CAME: u64 = 300;

/// `web-1` leaks one connection a second on top of 50,000, `web-2` and `cart` hold what they have; `old` is gone and `young` is
/// new.
fn history_until(now: u64) -> String {
    let series = |node: &str, ip: &str, app: &str, name: &str| {
        format!(
            "khan_connection{{job=\"khan\",instance=\"{node}:14718\",node=\"{node}\",side=\"client\",src_type=\"pod\",\
             src_ip=\"{ip}\",src_ns=\"shop\",src_app=\"{app}\",src_name=\"{name}\",dst_type=\"service\",\
             dst_ip=\"10.9.0.1\",dst_ns=\"data\",dst_app=\"db\",dst_name=\"db\",dst_port=\"5432\"}}"
        )
    };
    let rows = [
        (series("n1", "10.0.1.1", "web", "web-1"), "leaks"),
        (series("n1", "10.0.1.2", "web", "web-2"), "holds"),
        (series("n2", "10.0.2.1", "cart", "cart-1"), "holds"),
        (series("n1", "10.0.1.3", "old", "old-1"), "left"),
        (series("n1", "10.0.1.4", "young", "young-1"), "came"),
    ];
    let mut text = String::from("# TYPE khan_connection gauge\n");
    for (row, fate) in rows {
        for ago in (0..=(WINDOW.as_secs() + 120) / EVERY).rev().map(|step| step * EVERY) {
            let value = match fate {
                "leaks" => 51_020 - ago,
                "left" if ago < LEFT => continue,
                "came" if ago > CAME => continue,
                "holds" => 171,
                _ => 9,
            };
            writeln!(text, "{row} {value} {}", now - ago).unwrap();
        }
    }
    text + "# EOF\n"
}

fn server(lab: &Lab) -> Prometheus {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let file = lab.file("past.om", history_until(now)).unwrap();
    let blocks = lab.folder().join("prometheus");
    let written = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&file, &blocks])
        .output()
        .expect("promtool is there (Debian and Ubuntu: apt-get install prometheus)");
    assert!(written.status.success(), "{written:?}");
    Prometheus::start(lab, None, &[Job { name: "none", targets: &[] }], &[]).unwrap()
}

fn khan(url: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_khan"));
    command.args(arguments).args(["--prometheus-url", url]).env_clear().env("HOME", home.path()).env("TZ", "UTC");
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert!(!stderr.contains("watching for"), "{stderr}");
    (output.status.code(), stdout)
}

async fn seen(feed: &mut Feed, right: impl Fn(&View) -> bool) -> Arc<View> {
    let found = tokio::time::timeout(Duration::from_mins(1), feed.views.wait_for(|view| right(view))).await;
    Arc::clone(&found.expect("the view comes").expect("the source goes on"))
}

async fn past(feed: &mut Feed) -> Vec<Arc<View>> {
    loop {
        let news = tokio::time::timeout(Duration::from_mins(1), feed.news.recv()).await.expect("the past is told");
        if let News::Past(past) = news.expect("the source goes on") {
            return past;
        }
    }
}

#[test]
fn the_past_is_used_at_once() {
    let lab = Lab::new().unwrap();
    let prometheus = server(&lab);
    let url = prometheus.url().unwrap();

    let (code, text) = khan(&url, &["leaks", "--exit-code", "-o", "json"]);
    let found: Value = serde_json::from_str(&text).unwrap();
    let leak = &found["items"][0];
    assert_eq!((code, &leak["verdict"], &leak["source"]["text"]), (Some(5), &"LIKELY".into(), &"shop/web".into()));
    assert!(found["metadata"]["spanSeconds"].as_u64().unwrap() >= 840, "{found}");
    assert!((780..=915).contains(&leak["growth"].as_u64().unwrap()), "{leak}");
    assert_eq!(leak["evidence"][0], "1 of 2 pods holds 100%: shop/web-1 on n1");
    assert_eq!(found["items"].as_array().unwrap().len(), 1);

    let (_, text) = khan(&url, &["top", "--once", "-o", "json"]);
    let found: Value = serde_json::from_str(&text).unwrap();
    let rate = found["items"][0]["ratePerMinute"].as_f64().unwrap();
    assert!((50.0..=70.0).contains(&rate), "{found}");
    assert_eq!((&found["items"][0]["flags"][0], &found["items"][1]["delta"]), (&"RISING".into(), &0.into()));

    let now = Timestamp::now().seconds();
    let first_seen = |name: &str| -> Option<i64> {
        let items = found["items"].as_array().unwrap();
        let item = items.iter().find(|item| item["source"]["text"] == name).unwrap_or_else(|| panic!("{found}"));
        Some(item["firstSeen"].as_str()?.parse::<Timestamp>().unwrap().seconds())
    };
    let ago = now - first_seen("shop/young").unwrap();
    assert!((240..=360).contains(&ago), "{ago} s ago: {found}");
    assert_eq!(first_seen("shop/cart"), None, "it is as old as what is known");

    let (_, text) = khan(&url, &["who", "10.0.1.2"]);
    assert!(text.starts_with("10.0.1.2   pod shop/web-2, app web, node n1\n"), "{text}");
    assert!(text.contains("   data/db"), "{text}");
}

/// What is new since then, what the rows of then became, and what the server does not know.
#[test]
fn the_past_is_compared_with_now() {
    let lab = Lab::new().unwrap();
    let prometheus = server(&lab);
    let url = prometheus.url().unwrap();

    let (code, text) = khan(&url, &["diff", "--against", "12m", "--to", "data/db", "-o", "json", "--exit-code"]);
    let found: Value = serde_json::from_str(&text).unwrap();
    let changes = found["items"].as_array().unwrap().iter().map(|item| {
        (item["change"].as_str().unwrap(), item["source"]["text"].as_str().unwrap(), item["delta"].as_i64().unwrap())
    });
    let [(grown, web, added), old, young] = changes.collect::<Vec<_>>()[..] else { panic!("{found}") };
    assert_eq!((code, grown, web), (Some(5), "grown", "shop/web"));
    assert!((680..=760).contains(&added), "{found}");
    assert_eq!([old, young], [("gone", "shop/old", -9), ("new", "shop/young", 9)]);
    assert_eq!((&found["metadata"]["partial"], &found["metadata"]["counts"]["unchanged"]), (&false.into(), &1.into()));
    let (_, text) = khan(&url, &["diff", "--against", "12m", "--to", "data/db", "--show", "new", "-o", "name"]);
    assert_eq!(text, "shop/young->data/db:5432\n");
    let (code, _) = khan(&url, &["diff", "--against", "1d"]);
    assert_eq!(code, Some(4), "a day ago there was nothing");

    let (_, text) = khan(&url, &["top", "--since", "12m", "--once", "-o", "json"]);
    let found: Value = serde_json::from_str(&text).unwrap();
    let items = found["items"].as_array().unwrap();
    let of = |name: &str| items.iter().find(|item| item["source"]["text"] == name).unwrap_or_else(|| panic!("{found}"));
    assert_eq!((&of("shop/old")["conns"], &of("shop/old")["delta"]), (&0.into(), &(-9).into()));
    assert!((680..=760).contains(&of("shop/web")["delta"].as_i64().unwrap()), "{found}");
    assert_eq!(found["metadata"]["missing"], serde_json::json!([]));
    let (code, text) = khan(&url, &["top", "--since", "6h", "--once", "-o", "json", "--strict"]);
    let found: Value = serde_json::from_str(&text).unwrap();
    let missing = found["metadata"]["missing"][0].as_str().unwrap();
    assert!(missing.contains("knows nothing from before") && missing.ends_with("the 6h asked for"), "{missing}");
    assert_eq!(code, Some(3));
}

#[test]
fn what_is_told_apart_later_has_a_past_of_its_own() {
    let lab = Lab::new().unwrap();
    let prometheus = server(&lab);
    tokio::runtime::Runtime::new().unwrap().block_on(told_apart(&prometheus));
}

async fn told_apart(prometheus: &Prometheus) {
    let http = DirectClient::new(HttpConfig::default()).unwrap();
    let client = Client::http(prometheus.url().unwrap().parse().unwrap(), http, Bounds::default());
    let query = Query { window: WINDOW, ..Query::default() };
    let plan = Plan {
        interval: Duration::from_secs(1),
        window: WINDOW,
        since: false,
        labels: LabelSet::of(&query),
        nodes: NodeChoice::default(),
    };
    let mut feed = run::start(client, plan, SourceInfo::default()).await.unwrap();
    let mut history = History::default();
    history.track(&query);
    let view = seen(&mut feed, |view| view.settled).await;
    history.push(Arc::clone(&view));
    history.backfill(past(&mut feed).await);
    let row = project(&view, &query, &history).rows.swap_remove(0);
    // Opened as Enter does it; the source is asked for pods from now on.
    let mut drill = Drill::open(&query, &row, &view, 1, false);
    let panes: Vec<_> = drill.panes.iter().map(|(grouping, _)| grouping.name).collect();
    assert_eq!(panes, ["source pod"], "who answers is not told");
    drill.refresh(&view, &mut history);
    feed.handle.ask(&drill.pane_query(0));
    let view = seen(&mut feed, |view| view.depth == 1).await;
    history.push(Arc::clone(&view));
    let growth = |drill: &Drill| -> Vec<_> {
        let rows = &drill.panes[0].1.rows;
        rows.iter().map(|row| (row.source().to_owned(), row.change.map(|change| change.delta))).collect()
    };
    drill.refresh(&view, &mut history);
    assert!(growth(&drill).iter().all(|(_, change)| change.is_none_or(|change| change < 1_000)), "{drill:?}");
    history.backfill(past(&mut feed).await);
    drill.refresh(&view, &mut history);
    let [(leaker, grown), (other, steady)] = &growth(&drill)[..] else { panic!("{drill:?}") };
    assert_eq!((leaker.as_str(), other.as_str(), *steady), ("shop/web-1", "shop/web-2", Some(0)));
    assert!((780..=915).contains(&grown.unwrap()), "{grown:?}");
}

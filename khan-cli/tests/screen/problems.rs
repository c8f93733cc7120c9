//! What is wrong, in a real terminal: the sentence under the views, and the view that lists it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portable_pty::CommandBuilder;

use super::session::{Server, Session};
use super::{SIZE, click_on, line_of, tape, trouble};

/// The sentence stands under the views at every size, in every view but that of the problems, whose list says it.
#[test]
fn what_is_wrong_is_said_in_one_sentence_under_the_views() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    tape::shop_tape(file.path(), 0..31);
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_khan"));
    command.args(["top", "--replay"]);
    command.arg(file.path());
    let mut session = Session::start(command, SIZE);
    let sentence = |text: &str| text.lines().nth(2).unwrap_or_default().trim().to_owned();
    let said = "the connection table of node-03 is 92% full (242000 of 262144), and full in 1h40m at";
    let cut = &said[..76];
    session
        .wait("the sentence and the count", |text| sentence(text).starts_with(cut) && text.contains("6 Problems(3)"));
    session.send("4");
    session.wait("it over the nodes", |text| sentence(text).starts_with(cut) && text.contains("FULL IN"));
    session.send("6");
    session.wait("the list instead", |text| {
        !sentence(text).starts_with(cut) && text.contains("shop/checkout leaks to data/postgres-main:5432")
    });
    session.send("\t");
    session.wait("the suspects of the leak rule", |text| text.contains("1 of 3 pods holds 96%"));
    session.send("1");
    session.resize(160, 50);
    session.wait("the whole sentence", |text| sentence(text) == format!("{said} this rate; and 2 more"));
    session.resize(40, 10);
    session.wait("its beginning", |text| sentence(text).starts_with("the connection table of node-03"));
    session.send("q");
    assert_eq!(session.end_restored(), 0);
}

#[test]
fn problems_are_listed_worst_first_opened_and_copied() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    tape::tape(file.path(), (0..31).map(trouble::snapshots_in_trouble));
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_khan"));
    command.args(["top", "--mouse", "--replay"]);
    command.arg(file.path());
    let mut session = Session::start(command, (120, 30));
    session.wait("the worst as a sentence", |text| {
        let line = text.lines().nth(2).unwrap_or_default().trim();
        line.starts_with("shop/cart gets no answer from data/redis:6379: 14 tries wait") && line.contains("more")
    });
    session.send(&click_on(&session, "6 Problems"));
    let place = |text: &str, word: &str| text.lines().position(|line| line.contains(word)).unwrap_or(usize::MAX);
    session.wait("worst first", |text| {
        let order = ["CRITICAL unanswered", "CRITICAL stalled", "WARNING  table", "WARNING  leak", "WARNING  churn"];
        let places = order.map(|word| place(text, word));
        places.is_sorted() && places[4] < usize::MAX
    });
    session.wait("its details below", |text| text.contains("next   khan conns --from app/shop/cart"));
    session.send("jj");
    session.wait("those of the row", |text| text.contains("3 of ") && text.contains("--to app/data/opensearch"));
    session.send("\r");
    session.wait("all of it", |text| text.contains("Problem · stalled") && text.contains("severity  CRITICAL"));
    session.send("K");
    session.wait("the command", |text| text.contains("copied: khan conns --from app/shop/search"));
    session.send("q,,,,");
    session.wait("an earlier moment", |text| text.contains("round 27 of 31") && text.contains("CRITICAL stalled"));
    session.send("qq");
    assert_eq!(session.end_restored(), 0);
}

/// Whether the terminal was asked to put `text` on the clipboard.
fn copied(session: &Session, text: &str) -> bool {
    let wanted = format!("\x1b]52;c;{}\x07", STANDARD.encode(text));
    String::from_utf8_lossy(&session.raw).contains(&wanted)
}

/// Every kind that one snapshot shows, from an agent that answers: what is said, in which order, and that it goes.
#[test]
fn every_kind_of_problem_is_said_counted_opened_copied_and_gone_with_its_cause() {
    let agent = Server::start(trouble::every_trouble(false));
    let mut session = Session::top(&agent, &[], (200, 40));
    let want = [
        "CRITICAL unanswered shop/cart gets no answer from data/redis:6379: 14 tries wait, from its one pod node-03 \
         shop/cart, data/redis",
        "CRITICAL stalled 3 of 1777 connections from shop/search to data/opensearch:9200 are stalled: data is sent and \
         nobody acknowledges it node-03 shop/search, data/opensearch",
        "CRITICAL limit data/postgres: 100 of 100 connections, shop/checkout holds all of them: it is full node-03 \
         data/postgres, shop/checkout",
        "WARNING table the connection table of node-03 is 91% full (239000 of 262144) node-03 -",
        "WARNING snat node-03 uses 60000 of 64512 ports of 10.0.0.3 to 203.0.113.9:443, shop/crawler holds 60000 of them \
         node-03 shop/crawler",
        "WARNING churn ops/cron-sync opens and closes 150 connections a second to shop/api:8080 instead of keeping some \
         node-03 ops/cron-sync, shop/api",
    ];
    // Without the marker of the cursor, the age, and what only sets columns apart.
    let listed = |text: &str| -> Vec<String> {
        let rows = text.lines().map(|line| line.trim_start_matches(['>', ' ']));
        let rows = rows.filter(|line| line.starts_with("CRITICAL ") || line.starts_with("WARNING "));
        let words = rows.map(|line| line.split_whitespace().enumerate().filter(|(at, _)| *at != 2));
        words.map(|words| words.map(|(_, word)| word).collect::<Vec<_>>().join(" ")).collect()
    };
    session.wait("the count, and the worst as a sentence", |text| {
        let said = text.lines().nth(2).unwrap_or_default().trim();
        text.contains(" 6 Problems(6)  7 Agents")
            && said == "shop/cart gets no answer from data/redis:6379: 14 tries wait, from its one pod; and 5 more"
    });
    session.send("6");
    session.wait("all of them, worst first", |text| listed(text) == want && text.contains("3 critical, 3 warning"));
    session.send("jjj");
    session.wait("the details of the third below", |text| {
        line_of(text, "CRITICAL limit").starts_with('>') && text.contains("held by shop/checkout (100)")
    });
    session.send("\r");
    session.wait("all of it, and what its keys do", |text| {
        text.contains("Problem · limit") && line_of(text, "Esc back").contains("K copy command")
    });
    let command = "khan top --to app/data/postgres --group-by src-pod,dst";
    assert!(session.text().contains(command) && !copied(&session, command), "{}", session.text());
    session.send("K");
    session.wait("the command", |text| text.contains("copied: khan top --to app/data/postgres"));
    assert!(copied(&session, command), "not on the clipboard");
    session.send("q?");
    session.wait("a text that leads nowhere", |text| {
        text.contains("Help") && line_of(text, "Esc back").contains("y copy") && !text.contains("K copy command")
    });
    session.send("q");
    session.wait("the list", |text| listed(text) == want);
    session.send("ky");
    session.wait("the problem above", |text| text.contains("copied: 3 of 1777 connections from shop/search"));
    agent.tell(trouble::every_trouble(true));
    session.wait("none", |text| {
        listed(text).is_empty()
            && text.contains(" 6 Problems  7 Agents")
            && text.contains("not known from here: imbalance")
    });
    session.send("q");
    assert_eq!(session.end_restored(), 0);
}

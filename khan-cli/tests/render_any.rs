//! No size, no data and no sequence of keys makes the screens panic or lose their footing.

#[path = "screen/shop.rs"]
mod shop;
#[path = "screen/stage.rs"]
#[expect(dead_code, reason = "the other tests use the rest of it")]
mod stage;

use khan_api::snapshot::Snapshot;
use khan_api::text::is_printable;
use khan_api::{Connection, ConnectionSample, Timestamp};
use khan_cli::feed::{Missed, Samples};
use khan_cli::model::{LeakRule, Query, RowKey};
use khan_cli::screen::msg::{Effect, Exit, Msg};
use proptest::prelude::*;
use proptest::sample::select;
use stage::Stage;

/// Every key that does something, some that do nothing, and what happens beside keys.
const KEYS: &str = "j k g G h l n t f x Ctrl-d Ctrl-u Ctrl-f PgDn PgUp Enter Esc Tab Shift-Tab 1 2 3 4 5 6 7 < > R s C D S / ! \
                    Space X p b B a d w c y e o K m T : ? E F1 Right Left Up Down Home End - + = Backspace Ctrl-r Ctrl-l q Q \
                    @click @paste @wheel @sample @failed @tick @sleep @away";

fn happens(stage: &mut Stage, what: &str, step: i64) {
    let (width, height) = stage.app.size();
    let msg = match what {
        "@click" => Msg::Click(width / 3, height / 2),
        "@paste" => Msg::Paste("src:a\x1b[2J\nport:\u{6f22}".into()),
        "@wheel" => Msg::Wheel(1),
        "@sample" => Msg::Sample(stage.app.drills.asked(), Ok(samples())),
        "@failed" => Msg::Sample(stage.app.drills.asked(), Err("no agent answered: \u{9b}31m \u{115f}timeout".into())),
        "@tick" => Msg::Tick(Timestamp::from_seconds(stage.app.data.clock().seconds() + 1)),
        "@sleep" => Msg::Tick(Timestamp::from_seconds(stage.app.data.clock().seconds() + 9_000)),
        "@away" => {
            stage.fail_all(step);
            return;
        }
        key => {
            stage.press(key);
            return;
        }
    };
    stage.tell(msg);
}

fn samples() -> Samples {
    let missed = Missed { node: "node-04".into(), reason: "khan/a4 did not answer within 5s".into() };
    Samples { tables: vec![connections()], missed: vec![missed] }
}

fn connections() -> ConnectionSample {
    let connection = serde_json::json!({
        "protocol": "tcp", "state": "ESTABLISHED", "src": "2001:db8::1", "src_port": 40_000, "dst": "10.96.0.11",
        "dst_port": 5432, "reply_src": "10.244.1.15", "reply_src_port": 5432, "reply_dst": "172.18.0.1",
        "reply_dst_port": 61_001, "timeout_seconds": 431_999, "idle_seconds": 1,
    });
    let connection: Connection = serde_json::from_value(connection).expect("a connection");
    ConnectionSample {
        node: "node-03".into(),
        taken: Timestamp::default(),
        matched: 90,
        connections: vec![connection; 50],
    }
}

/// Whether every character of a frame is one that a terminal may see.
fn is_clean(frame: &str) -> bool {
    frame.lines().all(|line| line.chars().all(is_printable))
}

/// Names as a hostile cluster could have them.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![Just("db".to_owned()), "[a-z]{1,40}", "\\PC{0,12}", "[\\x00-\\x1f\\x7f-\\x9f漢é]{1,6}"]
}

prop_compose! {
    fn snapshot()(
        rows in prop::collection::vec((name(), name(), any::<u16>(), 0..u64::from(u32::MAX), any::<bool>()), 0..40),
        step in 0_i64..40,
        limit in prop_oneof![Just(0_u64), any::<u64>()],
    ) -> (i64, Snapshot) {
        let node = rows.into_iter().fold(shop::node("node-03", step), |node, (src, dst, port, n, outside)| {
            let clean = |text: &str| text.replace(['/', ':', '@', '?'], "_");
            let src = if outside { "198.51.100.7".to_owned() } else { format!("ns/{}@node-03", clean(&src)) };
            node.row(&src, &format!("svc:{}/{}", clean(&dst), clean(&dst)), port, n).established(n / 2)
        });
        let mut snapshot = node.snapshot;
        snapshot.table.limit = limit;
        (step, snapshot)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics(
        sizes in prop::collection::vec((1_u16..=300, 1_u16..=100), 1..4),
        mut snapshots in prop::collection::vec(snapshot(), 0..5),
        keys in prop::collection::vec(select(KEYS.split_whitespace().collect::<Vec<_>>()), 0..30),
        ascii in any::<bool>(),
    ) {
        let mut stage = Stage::new(sizes[0].0, sizes[0].1, ascii);
        stage.frame();
        snapshots.sort_by_key(|(step, _)| *step);
        for (step, snapshot) in &snapshots {
            stage.show(std::slice::from_ref(snapshot), *step);
        }
        for (i, key) in keys.iter().enumerate() {
            happens(&mut stage, key, 40);
            let (width, height) = sizes[i % sizes.len()];
            stage.resize(width, height);
            prop_assert!(is_clean(&stage.frame()), "a text reached the terminal raw");
            if let Some(key) = stage.app.lists.cursor().key {
                prop_assert!(stage.app.answers.items().iter().any(|item| item.key == key), "the cursor is on a row that is not listed");
            }
        }
    }
}

/// Every size once, on every screen, with real data.
#[test]
fn every_small_size_has_a_frame() {
    let screens = [
        "",
        "2",
        "3",
        "4",
        "5",
        "6",
        "6 Tab",
        "6 j Enter",
        "7",
        "Enter",
        "Enter @sample",
        "Enter @failed",
        "Enter @sample Tab Tab j",
        "Enter j Enter",
        "6 Tab Enter",
        "j Right",
        "j Space",
        "d j",
        "w",
        "p",
        "b",
        "?",
        "E",
        "o",
        "K",
        "7 j Enter",
        "s",
        "c",
        "e",
        "/ a",
        "/ p : x",
        ": x",
        "? / n",
        "@away",
        "@sleep",
    ];
    for keys in screens {
        let mut stage = Stage::new(80, 24, false);
        stage.play(0..3);
        keys.split_whitespace().for_each(|key| happens(&mut stage, key, 3));
        for width in (1..=9).chain([15, 24, 33]).chain(38..=44).chain([59, 60, 71, 72, 79, 99, 100, 120, 300]) {
            for height in [1, 2, 3, 5, 9, 10, 11, 13, 20, 24, 100] {
                stage.resize(width, height);
                let frame = stage.frame();
                assert_eq!(frame.lines().count(), usize::from(height));
                assert!(is_clean(&frame), "a text reached the terminal raw after {keys:?}: {frame}");
            }
        }
    }
}

fn shop() -> Stage {
    let mut stage = Stage::new(120, 30, false);
    stage.play(0..10);
    stage
}

/// The row that was opened from the list.
fn opened(stage: &Stage) -> Option<RowKey> {
    stage.app.drills.first().map(|drill| drill.from)
}

fn cursor(stage: &Stage) -> Option<RowKey> {
    stage.app.lists.cursor().key
}

#[test]
fn escape_closes_clears_and_goes_back_but_never_quits() {
    let mut stage = shop();
    stage.press("/ c a r t Enter j Enter ?");
    assert!(stage.app.overlays.current().is_some() && stage.app.drills.len() == 1);
    stage.press("Esc");
    assert!(stage.app.overlays.current().is_none() && stage.app.drills.len() == 1);
    assert_eq!(stage.press("Esc"), [Effect::Cancel]);
    assert_eq!((stage.app.drills.len(), stage.app.question.filter_text()), (0, "cart"));
    stage.press("Esc");
    assert_eq!(stage.app.question.filter_text(), "");
    for _ in 0..5 {
        assert_eq!(stage.press("Esc"), []);
    }
    assert_eq!(stage.press("q"), [Effect::Quit(Exit::Quit)]);
}

#[test]
fn the_cursor_follows_its_row_through_order_filter_and_data() {
    let mut stage = shop();
    stage.press("j j j");
    let key = cursor(&stage);
    stage.press("R");
    assert_eq!(cursor(&stage), key);
    stage.show(&shop::snapshots(20), 20);
    assert_eq!(cursor(&stage), key);
    stage.press("/ d s t : i n g r e s s Enter");
    stage.frame();
    assert_eq!((cursor(&stage), stage.app.lists.cursor().at), (key, 0));
    stage.press("Esc g");
    assert_eq!(cursor(&stage), None);
}

#[test]
fn a_pause_keeps_the_screen_and_loses_no_sample() {
    let mut stage = shop();
    let samples = stage.app.data.history().len();
    stage.press("p");
    // The age of what is shown goes on.
    let rows = |stage: &mut Stage| stage.frame().lines().skip(1).collect::<Vec<_>>().join("\n");
    let before = rows(&mut stage);
    stage.show(&shop::snapshots(10), 10);
    stage.show(&shop::snapshots(11), 11);
    assert_eq!(rows(&mut stage), before);
    stage.press("p");
    assert_eq!(stage.app.data.history().len(), samples + 2);
    assert_ne!(rows(&mut stage), before);
}

#[test]
fn a_baseline_counts_from_now() {
    let mut stage = shop();
    stage.press("b");
    stage.show(&shop::snapshots(12), 12);
    let first = stage.app.answers.projection().rows[0].change.expect("a change");
    assert_eq!(first.delta, 3 * 92 + 2, "three steps of the leak, and two pods that hover");
    stage.press("B");
    assert_eq!(stage.app.data.history().baseline_at(), None);
}

#[test]
fn pins_stay_on_top_and_enter_opens_what_the_cursor_is_on() {
    let mut stage = shop();
    stage.press("G Space g");
    let pinned = stage.app.answers.items()[0].key;
    assert_eq!(stage.app.lists.pins(), [pinned]);
    let effects = stage.press("j Enter");
    assert!(
        matches!(&effects[..], [Effect::Sample(1, request)] if request.nodes == ["node-03"] && !request.src.is_empty())
    );
    assert_eq!(opened(&stage), Some(pinned));
    stage.tell(Msg::Sample(1, Err("agent timeout".into())));
    assert!(stage.frame().contains("agent timeout"));
    stage.press("n");
    assert_ne!(opened(&stage), Some(pinned));
}

/// A leak's connections are old: they are asked for and listed first, and columns that nothing fills are not there.
#[test]
fn the_oldest_connections_come_first_where_a_row_grows() {
    let entry = |port: u16, age: Option<u64>| Connection {
        src_port: port,
        age_seconds: age,
        ..connections().connections.remove(0)
    };
    let sample = |ages: [Option<u64>; 3]| {
        let entries = (1..).zip(ages).map(|(port, age)| entry(port, age)).collect();
        Samples { tables: vec![ConnectionSample { connections: entries, ..connections() }], missed: Vec::new() }
    };
    let lines = |stage: &mut Stage| {
        let frame = stage.frame();
        let at =
            |port: u16| frame.find(&format!("2001:db8::1]:{port} ")).unwrap_or_else(|| panic!("{port} in {frame}"));
        let mut order = [1, 2, 3];
        order.sort_by_key(|port| at(*port));
        (order, frame)
    };
    let mut stage = Stage::new(120, 30, false);
    stage.play(0..31);
    let effects = stage.press("Enter");
    assert!(matches!(&effects[..], [Effect::Sample(1, request)] if request.oldest), "{effects:?}");
    stage.tell(Msg::Sample(1, Ok(sample([Some(10), Some(9_000), Some(600)]))));
    let (order, frame) = lines(&mut stage);
    assert_eq!(order, [2, 3, 1], "{frame}");
    assert!(frame.contains("oldest first") && frame.contains(" age ") && !frame.contains("bytes tx/rx"), "{frame}");
    let effects = stage.press("Esc j j Enter");
    let [.., Effect::Sample(2, request)] = &effects[..] else { panic!("{effects:?}") };
    assert!(!request.oldest, "shop/cart does not grow");
    stage.tell(Msg::Sample(2, Ok(sample([None; 3]))));
    let (order, frame) = lines(&mut stage);
    assert_eq!(order, [1, 2, 3], "{frame}");
    assert!(!frame.contains("oldest first") && !frame.contains(" age ") && frame.contains("idle"), "{frame}");
}

#[test]
fn what_is_exported_is_what_is_shown() {
    let mut stage = shop();
    stage.press("/ p o s t g r e s Enter");
    let effects = stage.press("e Enter Enter");
    let [Effect::Write { name, overwrite: false, text }] = &effects[..] else { panic!("{effects:?}") };
    let stem = name.strip_suffix(".csv").expect("a name for the form that was chosen");
    assert!(stem.starts_with("khan-edges-2026"), "{name}");
    let mut lines = text.lines();
    assert!(lines.next().is_some_and(|head| head.starts_with("source,destination,port,conns,delta")));
    assert!(lines.next().is_some_and(|row| row.starts_with("shop/checkout,data/postgres-main,5432,")));
    assert_eq!(lines.count(), 1);
}

/// Nothing is written unless a name was given, and nothing is overwritten unless that was asked.
#[test]
fn exports_ask_for_a_name_and_before_they_overwrite() {
    use khan_cli::screen::msg::NotWritten;
    let mut stage = shop();
    assert_eq!(stage.press("e j Enter"), [], "the name is still to be given");
    assert!(stage.frame().contains("Write to: khan-edges-"), "{}", stage.frame());
    assert_eq!(stage.press("Esc"), [], "and may never be");
    stage.press("e Enter Ctrl-u");
    stage.tell(Msg::Paste("mine.doc".into()));
    assert_eq!(stage.press("Enter"), []);
    assert!(stage.frame().contains("the ending decides the form: .csv"), "{}", stage.frame());
    stage.press("Backspace Backspace Backspace");
    stage.tell(Msg::Paste("json".into()));
    let effects = stage.press("Enter");
    assert!(matches!(&effects[..], [Effect::Write { name, overwrite: false, text }]
        if name == "mine.json" && text.contains("ConnectionList")));
    stage.tell(Msg::Written("mine.json".into(), Err(NotWritten::Exists)));
    assert!(stage.frame().contains("mine.json is there already: Enter overwrites it"), "{}", stage.frame());
    let effects = stage.press("Enter");
    assert!(matches!(&effects[..], [Effect::Write { overwrite: true, .. }]));
    stage.tell(Msg::Written("mine.json".into(), Err(NotWritten::Exists)));
    stage.press("Home 2");
    let effects = stage.press("Enter");
    assert!(matches!(&effects[..], [Effect::Write { name, overwrite: false, .. }] if name == "2mine.json"));
    // Who types something else by now is not interrupted.
    stage.press("/ x");
    stage.tell(Msg::Written("2mine.json".into(), Err(NotWritten::Failed("no space".into()))));
    assert_eq!(stage.app.question.filter_text(), "x");
    stage.press("Esc");
    let effects = stage.command("export all.md");
    assert!(matches!(&effects[..], [Effect::Write { name, text, .. }] if name == "all.md" && text.starts_with('|')));
}

/// What a saved view sets is what was shown.
#[test]
fn what_is_shown_is_saved_under_a_name_and_shown_again() {
    use khan_cli::screen::saved::Saved;
    let mut stage = shop();
    let entries = |effects: &[Effect]| match effects {
        [Effect::Save(name, entries)] if name == "slow" => {
            entries.iter().map(|(entry, value)| format!("{entry}={value}")).collect::<Vec<_>>().join(" ")
        }
        _ => panic!("{effects:?}"),
    };
    stage.press("5 S");
    stage.command("filter dst:ingress*");
    stage.command("namespace edge");
    stage.press("!");
    let effects = stage.command("save slow");
    assert_eq!(
        entries(&effects),
        "view=external namespace=edge group-by=src-ip,dst,port filter=not (dst:ingress*) window=5m sort-by=source"
    );
    let [Effect::Save(name, what)] = &effects[..] else { panic!("{effects:?}") };
    let saved = Saved::read(name, what).expect("a view");
    stage.tell(Msg::Saved(Box::new(saved), Ok("khan/config.yaml".into())));
    assert!(stage.frame().contains("saved: :view slow shows it (khan/config.yaml)"), "{}", stage.frame());
    let shown = stage.frame();
    let rows = |frame: &str| frame.lines().skip(4).take(6).map(str::to_owned).collect::<Vec<_>>();
    stage.press("1 !");
    stage.command("namespace *");
    stage.command("filter port:5432");
    stage.press("!");
    stage.command("view slow");
    assert_eq!(rows(&stage.frame()), rows(&shown));
    stage.command("columns source,conns");
    assert!(entries(&stage.command("save slow")).ends_with(" sort-by=source columns=source,conns"));
    // Of a view with columns of its own, that it is that view.
    stage.press("7");
    assert_eq!(entries(&stage.command("save slow")), "view=agents namespace=edge filter=not (dst:ingress*) window=5m");
    for (name, reason) in [("Edges", "is a view of the program"), ("two words", "is no name for a view")] {
        assert_eq!(stage.command(&format!("save {name}")), []);
        assert!(stage.app.overlays.notice().is_some_and(|notice| notice.contains(reason)), "{}", stage.frame());
    }
    let saved = Saved::read("slow", &[]).expect("a view");
    stage.tell(Msg::Saved(Box::new(saved), Err("its file system is read-only".into())));
    assert!(stage.frame().contains("slow is not saved: its file system is read-only"), "{}", stage.frame());
}

/// Khan's own connections are left out, and small screens say so too, unless a filter needs the room.
#[test]
fn what_is_left_out_of_khans_own_is_said_at_every_size() {
    for (width, height) in [(80, 24), (120, 30)] {
        let query = Query { own: false, ..Query::default() };
        let mut stage = Stage::asking(width, height, false, query, LeakRule::default());
        let agent = shop::node("node-03", 0).row("shop/cart@node-03", "svc:data/redis", 6379, 40);
        stage.show(&[agent.row("khan/khan-agent@node-03", "svc:khan/khan-controller", 14719, 5).snapshot], 0);
        let frame = stage.frame();
        assert!(frame.contains(" 40 conns") && frame.contains("own 5 left out"), "{frame}");
        stage.command("filter src:shop/* or dst:data/redis or port:14719");
        assert!(stage.frame().contains("/src:shop/* or dst:data"), "{}", stage.frame());
        stage.command("filter port:14719");
        let frame = stage.frame();
        assert!(frame.contains("No connection matches port:14719"), "{frame}");
        assert!(frame.contains("5 connections of Khan itself left out (--own shows them)"), "{frame}");
    }
}

/// Six lines below the list are enough for the chart, the pod that holds most, and the states.
#[test]
fn details_fit_into_what_a_list_leaves() {
    for (rows, fits) in [(16, true), (17, true), (18, false)] {
        let agent = (0..rows).fold(shop::node("node-03", 0), |agent, i| {
            let client = format!("shop/app-{i}-x2k4p:app-{i}@node-03");
            agent.row(&client, "svc:data/db", 5432, 40 + i).established(40 + i)
        });
        let mut stage = Stage::new(120, 30, false);
        stage.show(&[agent.snapshot], 0);
        let frame = stage.frame();
        assert!(frame.contains("shop/app-0 "), "every row is listed: {frame}");
        let shown = ["by source pod", "-x2k4p", "by state", "ESTABLISHED"].map(|part| frame.contains(part));
        assert_eq!(shown, [fits; 4], "{rows} rows: {frame}");
    }
}

#[test]
fn what_may_follow_is_shown_and_tab_takes_it() {
    let mut stage = shop();
    stage.press("/");
    let frame = stage.frame();
    assert!(frame.contains("src:") && frame.contains("8 of 21") && frame.contains("Tab complete"), "{frame}");
    stage.press("d s Tab");
    assert_eq!(stage.app.prompts.current().unwrap().text(), "dst:");
    assert!(stage.frame().contains("data/postgres-main"), "{}", stage.frame());
    stage.press("p o s t Tab");
    let text = |stage: &Stage| stage.app.prompts.current().unwrap().text().to_owned();
    assert_eq!(text(&stage), "dst:data/postgres-main");
    assert_eq!(stage.app.question.filter_text(), "dst:data/postgres-main", "it applies at once");
    stage.tell(Msg::Paste(" or (src:shop/".into()));
    stage.press("Tab");
    let first = text(&stage);
    stage.press("Tab");
    let second = text(&stage);
    assert!(first != second && second.starts_with("dst:data/postgres-main or (src:shop/"), "{first} {second}");
    stage.press("Shift-Tab");
    assert_eq!(text(&stage), first);
    stage.press(") Enter");
    assert!(stage.app.prompts.current().is_none() && stage.app.question.filter_text().ends_with(')'));
}

#[test]
fn a_fault_is_shown_below_its_place() {
    let mut stage = shop();
    stage.press("/");
    stage.tell(Msg::Paste("src:web prot:tcp dst:db".into()));
    let frame = stage.frame();
    let mut lines = frame.lines().rev();
    let (below, line) = (lines.next().unwrap(), lines.next().unwrap());
    assert!(below.contains("^^^^^^^^ there is no field \"prot\" (did you mean proto?)"), "{frame}");
    assert_eq!(below.find('^'), line.find("prot:tcp"), "{frame}");
    // A word that is still to grow is no fault, unless it is to be used as it is.
    stage.press("Ctrl-u");
    stage.tell(Msg::Paste("port:80 state:esta".into()));
    assert!(!stage.frame().contains("is no state"));
    stage.press("Enter");
    assert!(stage.frame().contains("is no state"), "{}", stage.frame());
}

#[test]
fn the_command_line_lists_its_commands() {
    let mut stage = shop();
    stage.press(": ?");
    let frame = stage.frame();
    assert!(frame.contains("Commands") && frame.contains("window DURATION, span"), "{frame}");
    stage.press("Esc");
    stage.command("window 7m");
    assert_eq!(stage.app.query().window.as_secs(), 420);
    stage.command("6x");
    stage.press("6 Tab");
    stage.command("window 7m");
    assert_eq!(stage.app.question.rule().window.as_secs(), 420, "in this view it is the rule's");
    stage.command("colums");
    assert!(stage.frame().contains("did you mean :columns?"), "{}", stage.frame());
    stage.press(": Up Up");
    assert_eq!(stage.app.prompts.current().unwrap().text(), "window 7m");
}

#[test]
fn commands_have_names_and_say_what_is_wrong() {
    let mut stage = shop();
    stage.command("sort -conns");
    assert!(stage.app.lists.list().sort.reverse);
    stage.command("group node");
    assert_eq!(stage.app.answers.items().len(), 2);
    stage.command("warp");
    assert!(stage.app.overlays.notice().is_some_and(|notice| notice.contains("\"warp\"")));
    assert_eq!(stage.command("q"), [Effect::Quit(Exit::Quit)]);
}

#[test]
fn a_filter_is_asked_when_somebody_looks_and_not_with_each_key() {
    let mut stage = shop();
    stage.frame();
    let followed = |stage: &Stage| stage.app.data.history().tracked().map(Query::shape).collect::<Vec<_>>();
    let before = followed(&stage);
    stage.press("/ c h e c k o");
    assert_eq!(followed(&stage), before, "nobody has looked yet");
    assert!(stage.frame().contains("shop/checkout"));
    let new: Vec<_> = followed(&stage).into_iter().filter(|shape| !before.contains(shape)).collect();
    let query = stage.app.query();
    let asked: Vec<_> = query.fans().iter().chain([&query]).map(Query::shape).collect();
    assert_eq!(new, asked, "one question, and not one for each letter");
    // Any other key comes to the rows that the filter leaves, drawn or not.
    stage.press("Backspace Backspace Enter End");
    let sources: Vec<_> = stage.app.answers.projection().rows.iter().map(|row| row.source().to_owned()).collect();
    assert!(!sources.is_empty() && sources.iter().all(|source| source.contains("chec")), "{sources:?}");
}

#[test]
fn however_many_steps_there_are_all_are_written_out() {
    let mut stage = Stage::new(120, 30, false);
    stage.press("6 Tab w w w");
    stage.play(0..200);
    let frame = stage.frame();
    assert!(frame.contains("window 2h, 200 snapshots") && frame.contains(" 199/199 "), "{frame}");
}

#[test]
fn an_agent_that_fails_takes_nothing_from_rows_of_the_others() {
    use khan_cli::model::filter::Flag;
    let mut stage = Stage::new(120, 30, false);
    stage.play(0..30);
    let before = stage.app.answers.suspects();
    for step in 30..36 {
        stage.show(&shop::snapshots(step)[..1], step);
    }
    let row = &stage.app.answers.projection().rows[0];
    assert_eq!((row.source(), row.has(Flag::Rising)), ("shop/checkout", true));
    let change = row.change.expect("a change");
    assert!((change.per_minute() - 184.0).abs() < 2.0, "{change:?}");
    // The suspects of the silent node are in no table any more; those of the other are all still suspected.
    let (likely, watched) = stage.app.answers.suspects();
    assert!(likely >= 1 && likely + watched >= 2, "{before:?} became {likely} likely, {watched} watched");
}

#[test]
fn rising_follows_the_rule_and_the_threshold_of_the_leaks_view() {
    use khan_cli::model::LeakRule;
    use khan_cli::model::filter::Flag;
    let rising = |stage: &Stage| stage.app.answers.projection().rows.iter().filter(|row| row.has(Flag::Rising)).count();
    let usual = rising(&shop());
    let mut strict = Stage::with_rule(120, 30, false, LeakRule { growth: 200, ..LeakRule::default() });
    strict.play(0..10);
    strict.press("6 Tab t 1");
    assert!((strict.app.query().rule.rising - 0.9).abs() < 1e-9);
    assert!(rising(&strict) < usual, "{usual} rows rise by 20, fewer by 200");
}

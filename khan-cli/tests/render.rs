//! What the screens look like at several sizes, and that no size and no data make them panic.

#[path = "screen/shop.rs"]
mod shop;

#[path = "screen/stage.rs"]
mod stage;
#[path = "screen/trouble.rs"]
mod trouble;

use std::time::Duration;

use khan_api::{TableStats, Timestamp};
use khan_cli::feed::{Link, News};
use khan_cli::screen::msg::{Effect, Exit, Msg};
use khan_cli::screen::styles::Theme;
use khan_cli::screen::tab::Tab;
use shop::START;
use stage::Stage;

const SIZES: [(u16, u16); 5] = [(160, 50), (120, 30), (80, 24), (60, 15), (40, 10)];

/// Compares a screen at every size and in both character sets with what is kept.
fn compare(name: &str, keys: &str) {
    for (width, height) in SIZES {
        for (set, ascii) in [("utf8", false), ("ascii", true)] {
            let mut stage = Stage::new(width, height, ascii);
            stage.play(0..31);
            stage.press(keys);
            insta::assert_snapshot!(format!("{name}_{width}x{height}_{set}"), stage.frame());
        }
    }
}

#[test]
fn edges() {
    compare("edges", "j j");
}

#[test]
fn details() {
    compare("details", "Enter");
}

#[test]
fn leaks() {
    compare("leaks", "6 Tab");
}

/// What is wrong, on screens of every usual size, with what is known of one problem below and opened.
#[test]
fn problems() {
    for (width, height) in [(160, 50), (120, 30), (80, 24), (40, 10)] {
        let mut stage = Stage::new(width, height, false);
        for step in 0..31 {
            stage.show(&trouble::snapshots_in_trouble(step), step);
        }
        stage.tell(Msg::Tick(Timestamp::from_seconds(START + shop::PERIOD * 30 + 12)));
        insta::assert_snapshot!(format!("problem_said_{width}x{height}"), stage.frame());
        stage.press("6");
        insta::assert_snapshot!(format!("problems_{width}x{height}"), stage.frame());
        stage.press("j j Enter");
        insta::assert_snapshot!(format!("problem_opened_{width}x{height}"), stage.frame());
    }
}

/// Kinds that the agents do not tell stand below what is found, and where nothing is found.
#[test]
fn what_is_not_known_from_here_is_no_sign_of_health() {
    let mut stage = Stage::new(120, 30, false);
    stage.press("6");
    stage.play(0..31);
    insta::assert_snapshot!("problems_in_part_known_120x30", stage.frame());
    let mut stage = Stage::new(120, 30, false);
    stage.press("6");
    stage.show(&[shop::Agent::at("n1", START).row("shop/web@n1", "svc:data/db", 5432, 9).snapshot], 0);
    insta::assert_snapshot!("problems_none_120x30", stage.frame());
}

/// Severity is a word first, and a colour besides.
#[test]
fn severities_have_colours() {
    let mut stage = Stage::new(80, 12, false);
    for step in 0..31 {
        stage.show(&trouble::snapshots_in_trouble(step), step);
    }
    stage.press("6");
    insta::assert_snapshot!("problems_styled", stage.styled());
}

#[test]
fn a_problem_is_copied_and_so_is_the_command_that_leads_on() {
    let mut stage = Stage::new(120, 30, false);
    for step in 0..3 {
        stage.show(&trouble::snapshots_in_trouble(step), step);
    }
    let next = "khan conns --from app/shop/cart --to app/data/redis --port 6379 --state syn_sent";
    assert_eq!(stage.press("6 K"), [Effect::Copy(next.into())]);
    let [Effect::Copy(text)] = &stage.press("y")[..] else { panic!("nothing is copied") };
    assert!(text.starts_with("shop/cart gets no answer from data/redis:6379: 14 tries wait"), "{text}");
    assert!(text.contains("since     14:02:00, for 1m\n") && text.ends_with(next), "{text}");
    assert_eq!(stage.press("Enter K"), [Effect::Copy(next.into())], "in its details, too");
    assert_eq!(stage.press("? K"), [], "there is none in the help");
    stage.press("q 1");
    assert_eq!(stage.command("problems"), []);
    assert_eq!((stage.app.lists.tab(), stage.press("Tab").len()), (Tab::Problems, 0));
    assert_eq!(stage.app.lists.tab(), Tab::Leaks);
    stage.press("Tab");
    assert_eq!(stage.app.lists.tab(), Tab::Problems);
    stage.command("view leaks");
    assert_eq!(stage.app.lists.tab(), Tab::Leaks);
    stage.press("6");
    assert_eq!(stage.app.lists.tab(), Tab::Problems);
}

#[test]
fn help() {
    compare("help", "?");
}

/// The other screens, at the sizes that people have.
#[test]
fn other_screens() {
    let screens = [
        ("sources", "2"),
        ("destinations", "3 S"),
        ("nodes", "4 j"),
        ("external", "5"),
        ("agents", "7"),
        ("filter", "/ d s t : p o s t g r e s"),
        ("filter_error", "/ p o r t : x"),
        ("filter_empty", "/ z z z z Enter"),
        ("sort_menu", "s j"),
        ("columns_menu", "c"),
        ("export_menu", "e"),
        ("paused", "p"),
        ("past", ", , , j"),
        ("past_leaks", "6 Tab [ ["),
        ("past_problems", "6 [ ["),
        ("baseline", "b"),
        ("expanded", "j j Right"),
        ("pinned", "j j j Space g"),
        ("details_pane", "d j"),
        ("wide", "w"),
        ("promql", "j o"),
        ("kubectl", "j K"),
        ("errors", "E"),
        ("pod", "Enter j Enter"),
        ("by_state", "Tab Tab Tab Tab Tab Tab Tab"),
    ];
    for (name, keys) in screens {
        for (width, height) in [(120, 30), (80, 24)] {
            let mut stage = Stage::new(width, height, false);
            stage.play(0..31);
            stage.press(keys);
            insta::assert_snapshot!(format!("{name}_{width}x{height}"), stage.frame());
        }
    }
}

/// Nodes whose connections are in eBPF maps as well: the line of a node shows its fullest table, its agent's text all.
#[test]
fn nodes_with_several_tables() {
    let stats = |name: &str, entries, limit| TableStats { name: name.into(), entries, limit, scan_micros: 41_250 };
    for (width, height) in [(120, 30), (80, 24)] {
        let mut stage = Stage::new(width, height, false);
        for step in 0..31 {
            let mut snapshots = shop::snapshots(step);
            let grown = u64::try_from(300 * step).unwrap();
            snapshots[0].tables = vec![
                stats("nf_conntrack", snapshots[0].table.entries, 262_144),
                stats("cilium_ct4_global", 499_000 + grown, 524_288),
                stats("cilium_ct_any4_global", 8_100, 262_144),
            ];
            stage.show(&snapshots, step);
        }
        stage.press("4");
        insta::assert_snapshot!(format!("nodes_with_maps_{width}x{height}"), stage.frame());
        stage.press("7 Enter");
        insta::assert_snapshot!(format!("agent_with_maps_{width}x{height}"), stage.frame());
    }
}

#[test]
fn before_the_first_answer_and_when_nothing_is_found() {
    let mut stage = Stage::new(80, 24, false);
    insta::assert_snapshot!("connecting", stage.frame());
    stage.show(&[], 0);
    insta::assert_snapshot!("no_agents", stage.frame());
}

#[test]
fn trouble_is_said_where_it_is_seen() {
    let mut stage = Stage::new(120, 30, false);
    stage.play(0..10);
    stage.fail_one(10);
    stage.press("j");
    insta::assert_snapshot!("one_stale_120x30", stage.frame());
    stage.resize(80, 24);
    insta::assert_snapshot!("one_stale_80x24", stage.frame());
    stage.fail_all(11);
    insta::assert_snapshot!("all_failed_80x24", stage.frame());
    stage.press("7");
    insta::assert_snapshot!("all_failed_agents_80x24", stage.frame());
}

/// Changes and trends over a longer range, for which the source is asked, and what is held of it.
#[test]
fn the_range_is_one_key_away() {
    let mut stage = Stage::new(120, 30, false);
    stage.play(0..31);
    assert_eq!(stage.press("r"), [Effect::Past(Duration::from_mins(15))]);
    assert!(stage.frame().contains("changes and trends over 15m"), "{}", stage.frame());
    assert_eq!(stage.press("r r"), [Duration::from_hours(1), Duration::from_hours(6)].map(Effect::Past));
    let frame = stage.frame();
    assert!(
        frame.contains("over 6h; 15m of it are held, --prometheus-url knows more") && frame.contains("over 6h"),
        "{frame}"
    );
    assert_eq!(stage.command("since 30m"), [Effect::Past(Duration::from_mins(30))]);
    assert_eq!(stage.press("r"), [Effect::Past(Duration::from_hours(1))]);
}

/// A baseline that is set while looking back counts from then, live.
#[test]
fn a_baseline_may_lie_in_the_past() {
    let mut stage = Stage::new(120, 30, false);
    stage.play(0..31);
    stage.press(", , , , b L");
    let frame = stage.frame();
    // Four rounds of 92, and what the other two pods changed.
    let counted = frame.lines().any(|line| line.contains("shop/checkout") && line.contains("+362"));
    assert!(frame.contains("LIVE") && counted, "{frame}");
}

/// The last view of a recording can be on the screen before the others are known, and then there is no way back yet.
#[test]
fn a_recording_has_ended_only_when_all_of_it_is_there() {
    let mut stage = Stage::new(80, 24, false);
    let [first, last] = [0, 1].map(|step| stage.recorded(step));
    stage.tell(Msg::View(last));
    assert!(stage.frame().contains("LOADING"), "{}", stage.frame());
    stage.tell(Msg::News(News::Past(vec![first])));
    stage.tell(Msg::News(News::End));
    assert!(stage.frame().contains("ENDED"), "{}", stage.frame());
    stage.press(",");
    assert!(stage.frame().contains("REPLAY") && stage.frame().contains("round 1 of 2"), "{}", stage.frame());
}

/// Enter logs in again only while credentials are refused, and only where it means nothing else.
#[test]
fn expired_credentials_are_one_key_away() {
    let mut stage = Stage::new(80, 24, false);
    stage.play(0..2);
    let link = |link| Msg::News(News::Link(link));
    stage.tell(link(Link::Credentials("the API server does not accept them: log in again".into())));
    assert!(stage.frame().contains("! credentials expired: press Enter to log in again"), "{}", stage.frame());
    stage.press("/ s h o p");
    assert_eq!(stage.press("Enter"), [], "it only ends the prompt");
    stage.press("?");
    assert_eq!(stage.press("Enter"), [], "a text is open");
    stage.press("q 2");
    assert_eq!(stage.press("Enter"), [Effect::Quit(Exit::Reconnect(None))]);
    stage.tell(Msg::Connected(Vec::new(), None));
    assert!(!stage.frame().contains("credentials"), "{}", stage.frame());
    assert_eq!((stage.app.lists.tab(), stage.app.question.filter_text()), (Tab::Sources, "shop"));
    stage.play(2..3);
    assert!(matches!(stage.press("Enter")[..], [Effect::Sample(..)]));
}

/// A Prometheus that scrapes thirty apps, a laptop that sleeps for an hour, and rows beyond the limit.
#[test]
fn fan_outs_old_data_and_pins_beyond_the_limit() {
    let scraping = |step| {
        let agent = shop::node("node-03", step).row("shop/cart@node-03", "svc:data/redis", 6379, 40);
        let targets = (0..30)
            .fold(agent, |agent, i| agent.row("mon/prometheus@node-03", &format!("apps/app-{i}@node-03"), 9100, 2));
        targets.row("shop/web@node-03", "svc:data/db", 5432, 1).snapshot
    };
    let mut stage = Stage::new(100, 14, false);
    for step in 0..4 {
        stage.show(&[scraping(step)], step);
    }
    stage.press("j Right");
    insta::assert_snapshot!("fan_out_expanded", stage.frame());
    stage.press("G k k");
    insta::assert_snapshot!("fan_out_expanded_end", stage.frame());
    stage.press("g j Left j j Space");
    stage.command("limit 1");
    stage.press("g");
    stage.show(&[scraping(4)], 4);
    insta::assert_snapshot!("pinned_beyond_the_limit", stage.frame());
    stage.tell(Msg::Tick(Timestamp::from_seconds(START + 3_600)));
    insta::assert_snapshot!("after_an_hours_sleep", stage.frame());
    stage.show(&[scraping(120)], 120);
    insta::assert_snapshot!("first_data_after_sleep", stage.frame());
    stage.press("j j Enter");
    insta::assert_snapshot!("fan_out_opened", stage.frame());
}

#[test]
fn a_terminal_too_small_still_answers() {
    for (width, height) in [(34, 8), (20, 3), (12, 1)] {
        let mut stage = Stage::new(width, height, false);
        stage.play(0..31);
        insta::assert_snapshot!(format!("small_{width}x{height}"), stage.frame());
    }
}

#[test]
fn themes_colour_what_the_words_already_say() {
    for theme in Theme::ALL {
        let mut stage = Stage::new(80, 12, false);
        stage.theme(theme);
        stage.play(0..31);
        stage.press("j");
        insta::assert_snapshot!(format!("theme_{}", theme.as_str()), stage.styled());
    }
}

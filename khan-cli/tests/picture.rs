//! The pictures of the README: `khan top` on the demo, taken from a real terminal.
//!
//! ```sh
//! cargo build --bins && cargo test -p khan-cli --test picture -- --ignored
//! ```

#[path = "screen/session.rs"]
#[expect(dead_code, reason = "the other tests use the rest of it")]
mod session;
#[path = "screen/shop.rs"]
#[expect(dead_code, reason = "the other tests use the rest of it")]
mod shop;
#[path = "screen/svg.rs"]
mod svg;

use std::path::Path;
use std::time::Duration;

use portable_pty::CommandBuilder;
use session::Session;
use svg::svg;

/// Bytes that a picture may have.
const LARGEST: usize = 60_000;

/// Sizes that people have: the usual one, the smallest that keeps everything, and a large one.
const SIZES: [((u16, u16), &str); 3] =
    [((80, 24), "top-80x24.svg"), ((160, 50), "top-160x50.svg"), ((120, 30), "top.svg")];

fn save(session: &Session, name: &str, title: &str) {
    let picture = svg(session.screen(), title);
    assert!(picture.len() < LARGEST, "{name} has {} bytes", picture.len());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    std::fs::write(path, picture).expect("the picture can be written");
}

/// Takes three minutes: the leak must have been seen for a while.
#[test]
#[ignore = "writes the README's pictures; needs all programs built and what the demo needs"]
fn the_demo_is_painted() {
    let programs = Path::new(env!("CARGO_BIN_EXE_khan")).parent().expect("a folder");
    let mut command = CommandBuilder::new(programs.join("khan-lab"));
    command.args(["demo", "--", "--theme", "dark"]);
    command.env("KHAN_BIN_DIR", programs);
    command.env("COLORTERM", "truecolor");
    command.env("KHAN_TEST_KEEP", "COLORTERM");
    let mut session = Session::start(command, (120, 30));
    session.watch(Duration::from_mins(3));
    session.send("j");
    for ((width, height), name) in SIZES {
        session.resize(width, height);
        session.wait("the leak, and the worst that is wrong", |text| {
            let lines: Vec<_> = text.lines().collect();
            let whole = lines.len() == usize::from(height) && text.contains("7 Agents") && text.contains("q quit");
            whole && text.contains("RISING") && text.contains("row 1/") && text.contains("still go to")
        });
        let title = format!("khan top at {width}x{height}: edges of the demo; shop/checkout leaks to data/postgres");
        save(&session, name, &title);
    }
    session.send("6");
    // The footer is drawn last.
    session.wait("what is wrong", |text| {
        text.contains("dead-backend") && text.contains("K copy command") && !text.contains("by source pod")
    });
    save(&session, "problems.svg", "khan top, view 6: what is wrong in the demo, worst first");
    session.send("1\r");
    session.wait("the details", |text| text.contains("by source pod") && text.contains("ESTABLISHED 10."));
    save(
        &session,
        "details.svg",
        "khan top: shop/checkout -> data/postgres opened: one pod holds nearly all connections",
    );
    session.send("qq");
    assert_eq!(session.end(Duration::from_mins(1)), 0);
}

/// What a picture consists of is what the terminal shows.
#[test]
fn a_screen_becomes_a_picture() {
    let mut terminal = vt100::Parser::new(2.try_into().expect("two"), 12.try_into().expect("twelve"), 0);
    terminal.process(b"a <b>  \x1b[1;31mred\x1b[m\r\n\x1b[7mrow\x1b[m");
    let picture = svg(terminal.screen(), "a & b");
    let texts: Vec<_> =
        picture.lines().filter(|line| line.starts_with("<text") || line.starts_with("<rect x")).collect();
    assert_eq!(
        texts,
        [
            "<text x=\"14.0\" y=\"27.5\" textLength=\"42.0\">a &lt;b&gt;</text>",
            "<text x=\"72.8\" y=\"27.5\" textLength=\"25.2\" fill=\"#e06c75\" font-weight=\"bold\">red</text>",
            "<rect x=\"14.0\" y=\"32.0\" width=\"25.2\" height=\"18\" fill=\"#d6d8dc\"/>",
            "<text x=\"14.0\" y=\"45.5\" textLength=\"25.2\" fill=\"#16181d\">row</text>",
        ]
    );
    assert!(picture.contains("<title>a &amp; b</title>"));
}

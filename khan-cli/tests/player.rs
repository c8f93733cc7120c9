//! Looking back in a real terminal: a recording is played, and so is what a live screen has held.

#[allow(dead_code, reason = "shared with the tests of the whole screen")]
#[path = "screen/session.rs"]
mod session;
#[path = "screen/shop.rs"]
mod shop;
#[allow(dead_code, reason = "shared with the tests of the command line")]
#[path = "screen/tape.rs"]
mod tape;

use std::time::Duration;

use portable_pty::CommandBuilder;
use session::{Server, Session};

const HOME: &str = "\x1b[H";
const END: &str = "\x1b[F";

fn replay(file: &std::path::Path, size: (u16, u16)) -> Session {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_khan"));
    command.args(["top", "--replay"]);
    command.arg(file);
    command.env("TZ", "UTC");
    Session::start(command, size)
}

#[test]
fn a_recording_is_played_to_its_end_and_again() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    tape::shop_tape(file.path(), 0..31);
    let mut session = replay(file.path(), (120, 30));
    session.wait("the end", |text| {
        text.contains("ENDED 14:17:00") && text.contains("end of the recording: P plays it again, , steps back")
    });
    assert!(session.text().contains("8,442"), "{}", session.text());
    session.send(",");
    session.wait("the round before", |text| text.contains("REPLAY 14:16:30") && text.contains("round 30 of 31"));
    session.send("[");
    session.wait("a minute before", |text| text.contains("REPLAY 14:15:30") && text.contains("round 28 of 31"));
    session.send("].");
    session.wait("the end again", |text| text.contains("ENDED 14:17:00"));
    session.send(HOME);
    session.wait("the begin", |text| text.contains("REPLAY 14:02:00") && text.contains("round 1 of 31"));
    session.wait("the counts of then", |text| text.contains("5,682"));
    session.send(",");
    session.wait("why there is no more", |text| text.contains("the recording begins here"));
    session.send(":at 14:09\r");
    session.wait("a time of day", |text| text.contains("REPLAY 14:09:00"));
    session.send("P");
    session.wait("the player", |text| text.contains("PLAYING x10 "));
    session.send("p");
    session.wait("a pause", |text| text.contains("REPLAY 14:"));
    session.send("+++++P");
    session.wait("the end by itself", |text| text.contains("ENDED 14:17:00"));
    session.send("P");
    session.wait("the begin once more", |text| text.contains("PLAYING x500 "));
    session.send(END);
    session.wait("the end at once", |text| text.contains("ENDED 14:17:00"));
    session.send("?");
    session.wait("the keys", |text| text.contains("Help"));
    session.send("/Looking back\r");
    session.wait("their heading", |text| text.contains("one round back"));
    session.send("qq");
    assert_eq!(session.end_restored(), 0);
}

#[test]
fn a_small_screen_says_loudly_that_it_shows_the_past() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    tape::shop_tape(file.path(), 0..5);
    let mut session = replay(file.path(), (80, 24));
    session.wait("the end", |text| text.contains("ENDED 14:04:00"));
    session.send(",");
    session.wait("the past", |text| text.contains("REPLAY 14:03:30") && text.contains("round 4 of 5"));
    session.send("q");
    assert_eq!(session.end_restored(), 0);
}

/// What a live screen holds is walked with the same keys, while it goes on behind.
#[test]
fn the_live_past_is_walked_and_left_with_one_key() {
    let first = |step| shop::snapshots(step).swap_remove(0);
    let server = Server::start(first(0));
    let mut session = Session::top(&server, &["--interval", "1s"], (120, 30));
    session.wait("the first round", |text| text.contains("5,682"));
    session.send(",");
    session.wait("nothing before", |text| text.contains("no earlier round is held"));
    for (step, checkout) in [(1, "5,780"), (2, "5,862"), (3, "5,960")] {
        // Samples of the past are at least four seconds apart.
        session.watch(Duration::from_millis(4_100));
        server.tell(first(step));
        session.wait("the next round", |text| text.contains(checkout));
    }
    session.send(",");
    session.wait("the past", |text| text.contains(" PAST ") && text.contains(" ago ") && text.contains(" round "));
    session.send(HOME);
    session.wait("the first", |text| text.contains("round 1 of ") && text.contains("5,682"));
    session.send("\r");
    session.wait("no connections of now", |text| text.contains("single connections are read now"));
    session.send("\x1b");
    session.wait("the list", |text| text.contains("DESTINATION"));
    session.send("L");
    session.wait("the present", |text| text.contains("LIVE") && text.contains("5,960"));
    session.send("q");
    assert_eq!(session.end_restored(), 0);
}

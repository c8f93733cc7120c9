//! `khan top` on the demo in a real terminal: tmux draws it, presses keys and says what state it was left in.

use khan_lab::{Lab, Result, Terminal, binaries};

/// Connections in the first row below the table's header, when that row is the leak.
fn leak_on_top(screen: &str) -> Option<u64> {
    let mut rows = screen.lines().skip_while(|line| !(line.contains("SOURCE") && line.contains("CONNS"))).skip(1);
    let row = rows.next()?;
    let after = row.split_once("shop/checkout")?.1.split_once("data/postgres")?.1;
    // The port stands before the count.
    let numbers = after.split_whitespace().filter_map(|word| word.replace(',', "").parse().ok());
    numbers.into_iter().find(|number| *number != 5432)
}

#[test]
fn the_leaker_is_on_top_and_rises_and_quitting_gives_the_terminal_back() -> Result {
    let lab = Lab::new()?;
    let program = binaries::path("khan-lab")?;
    // The demo looks for the others beside itself.
    for name in ["khan", "khan-agent", "khan-controller"] {
        binaries::path(name)?;
    }
    let terminal = Terminal::open(&lab, None, (120, 30), "PS1='$ ' LC_ALL=C.UTF-8 bash --norc")?;
    let (before, after) = (lab.folder().join("before"), lab.folder().join("after"));
    terminal.type_line(&format!("stty -a > {}", before.display()))?;
    let folder = program.parent().expect("a file in a folder").display();
    terminal.type_line(&format!(
        "{}={folder} {} demo; stty -a > {}; echo ended with $?",
        binaries::BIN_FOLDER,
        program.display(),
        after.display()
    ))?;
    let first = terminal.wait_for("the leak on top", |screen| leak_on_top(screen).filter(|count| *count > 8))?;
    assert!(terminal.modes()?.0, "the alternate screen");
    terminal.wait_for("the leak to rise", |screen| leak_on_top(screen).filter(|count| *count >= first + 5))?;
    terminal.press("q")?;
    terminal.wait_for("the end", |screen| screen.contains("ended with 0").then_some(()))?;
    assert_eq!(terminal.modes()?, (false, true), "the usual screen and a cursor");
    let read = |path| std::fs::read_to_string(path).expect("written by stty");
    assert_eq!(read(&before), read(&after));
    Ok(())
}

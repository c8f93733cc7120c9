//! The terminal as this program changes it, and the one way back.
//!
//! What was switched on is kept in one process-wide place, so that [`restore`] can be called from the ordinary end, an
//! error, a panic on any thread, a signal or a suspend: it is idempotent, and every step is tried even if one before it
//! failed.

pub(super) mod background;
pub(super) mod clipboard;
pub(super) mod signals;

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicU8, Ordering};

use ratatui::Terminal;
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Cell;
use ratatui::crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture};
use ratatui::crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
};
use ratatui::crossterm::{cursor, execute, queue, terminal};
use ratatui::layout::{Position, Rect};
use tokio::sync::Notify;

/// One frame is one write: large enough for a full screen with styles.
const BUFFER: usize = 64 * 1024;

const RAW: u8 = 1;
const SCREEN: u8 = 2;
const PASTE: u8 = 4;
const MOUSE: u8 = 8;

/// What is switched on now.
static MODES: AtomicU8 = AtomicU8::new(0);

/// Notified when a panic on any thread has given the terminal back, so that the event loop ends instead of drawing on.
static PANICKED: Notify = Notify::const_new();

/// Ends when some thread has panicked.
pub async fn panicked() {
    PANICKED.notified().await;
}

/// Gives the terminal back as it was before [`Screen::enter`], and leaves the lines of `keep` on it.
pub fn restore(keep: &[String]) {
    let modes = MODES.swap(0, Ordering::SeqCst);
    if modes == 0 {
        return;
    }
    let mut out = io::stdout();
    // Best effort: a terminal that is gone fails every step, and none of the failures can be shown to anybody.
    let _ = execute!(out, EndSynchronizedUpdate);
    if modes & MOUSE != 0 {
        let _ = execute!(out, DisableMouseCapture);
    }
    if modes & PASTE != 0 {
        let _ = execute!(out, DisableBracketedPaste);
    }
    if modes & SCREEN != 0 {
        let _ = execute!(out, LeaveAlternateScreen, cursor::Show);
    }
    if modes & RAW != 0 {
        let _ = terminal::disable_raw_mode();
    }
    for line in keep {
        let _ = writeln!(out, "{line}");
    }
    let _ = out.flush();
}

/// Makes a panic on any thread restore the terminal before its message is printed.
pub fn install_panic_hook() {
    // The screen is opened more than once where a source is opened again.
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            restore(&[]);
            PANICKED.notify_one();
            before(info);
        }));
    });
}

/// The alternate screen. Dropping it restores the terminal.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    mouse: bool,
}

impl Screen {
    /// Switches to raw mode and the alternate screen.
    pub fn enter(mouse: bool) -> io::Result<Self> {
        let backend = CrosstermBackend::new(BufWriter::with_capacity(BUFFER, io::stdout()));
        let mut screen = Self { terminal: Terminal::new(backend)?, mouse };
        screen.switch_on()?;
        Ok(screen)
    }

    fn switch_on(&mut self) -> io::Result<()> {
        // The flag goes first: a step that fails half-way must be undone too.
        MODES.fetch_or(RAW, Ordering::SeqCst);
        terminal::enable_raw_mode()?;
        let out = self.terminal.backend_mut();
        MODES.fetch_or(SCREEN, Ordering::SeqCst);
        execute!(out, EnterAlternateScreen, cursor::Hide)?;
        MODES.fetch_or(PASTE, Ordering::SeqCst);
        execute!(out, EnableBracketedPaste)?;
        if self.mouse {
            self.set_mouse(true)?;
        }
        Ok(())
    }

    /// Switches reporting of mouse events on or off.
    pub fn set_mouse(&mut self, on: bool) -> io::Result<()> {
        self.mouse = on;
        let out = self.terminal.backend_mut();
        if on {
            MODES.fetch_or(MOUSE, Ordering::SeqCst);
            execute!(out, EnableMouseCapture)
        } else {
            execute!(out, DisableMouseCapture)?;
            MODES.fetch_and(!MOUSE, Ordering::SeqCst);
            Ok(())
        }
    }

    /// Draws one frame, which the terminal shows at once where it knows synchronized updates.
    pub fn draw(&mut self, render: impl FnOnce(&mut ratatui::Frame<'_>)) -> io::Result<()> {
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        self.terminal.draw(render)?;
        queue!(self.terminal.backend_mut(), EndSynchronizedUpdate)?;
        Write::flush(self.terminal.backend_mut())
    }

    /// Draws one more frame and returns it as text, for leaving it on the terminal.
    pub fn lines(&mut self, render: impl FnOnce(&mut ratatui::Frame<'_>)) -> io::Result<Vec<String>> {
        let frame = self.terminal.draw(render)?;
        let width = usize::from(frame.area.width).max(1);
        let line = |row: &[Cell]| row.iter().map(Cell::symbol).collect::<String>().trim_end().to_owned();
        let mut lines: Vec<_> = frame.buffer.content.chunks(width).map(line).collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        Ok(lines)
    }

    /// Makes the next frame paint everything. `Terminal::clear` would ask the terminal where its cursor is, and wait
    /// for an answer that the input stream takes or that never comes; resizing to the same size clears without asking.
    pub fn repaint(&mut self) -> io::Result<()> {
        let size = self.terminal.backend().size()?;
        self.terminal.resize(Rect::from((Position::ORIGIN, size)))
    }

    /// Writes a sequence that is no part of a frame, such as a clipboard request.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let out = self.terminal.backend_mut();
        out.write_all(bytes)?;
        Write::flush(out)
    }

    /// Takes the terminal again after [`restore`], as after a suspend.
    pub fn reenter(&mut self) -> io::Result<()> {
        self.switch_on()?;
        self.repaint()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore(&[]);
    }
}

/// Whether the terminal is still there. Once its other end is closed, every request fails; a program that does not look
/// spins for ever on an input that is always "ready".
pub fn alive() -> bool {
    io::stdout().is_terminal()
}

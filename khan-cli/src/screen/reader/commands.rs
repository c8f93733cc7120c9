//! What can be typed after `:`.

use super::help::explained;
use super::{Line, Matter, Tone};
use crate::screen::commands::COMMANDS;
use crate::screen::keys::{Context, Group};
use crate::screen::text;

/// Cells of a command with its value.
const COMMAND: usize = 26;

pub(super) fn lines(context: Context, matter: Matter<'_>, width: usize) -> Vec<Line> {
    let mut lines = vec![Line::strong("With a value, named as the flags")];
    for command in COMMANDS {
        let mut names = format!("{} {}", command.name, command.value);
        for short in command.short {
            names = format!("{names}, {short}");
        }
        let help = text::wrap(command.help, width.saturating_sub(COMMAND + 3).max(8));
        lines.extend(help.into_iter().enumerate().map(|(i, help)| {
            let names = if i == 0 { &*names } else { "" };
            Line(vec![(format!("  {names:<COMMAND$} "), Tone::Accent), (help, Tone::Plain)])
        }));
    }
    for group in Group::ALL {
        let here = matter.keymap.listed(context).filter(|(binding, _)| binding.group == group);
        let here: Vec<_> = here.flat_map(|(binding, _)| explained(binding.name, binding.help, width)).collect();
        if !here.is_empty() {
            lines.push(Line::default());
            lines.push(Line::strong(group.title()));
            lines.extend(here);
        }
    }
    lines
}

//! `khan agents`: is every node's agent well?

use std::time::Duration;

use khan_api::Timestamp;

use super::printer::Printer;
use super::session::{self, Watch};
use crate::args::Cli;
use crate::connect;
use crate::model::{GroupBy, NodeState, Query};
use crate::report::nodes::report;
use khan_serve::exit::{Failure, UNREACHABLE};

/// Prints one row per node.
pub(crate) async fn run(cli: &Cli) -> Result<(), Failure> {
    let mut printer = Printer::new(cli)?;
    let query = Query { group_by: GroupBy::NODES, trend: Duration::ZERO, window: Duration::ZERO, ..Query::default() };
    let mut feed = connect::start(cli, &query).await?;
    let mut watch = Watch::new(cli.output.watch, cli.output.count, cli.source.interval);
    let (mut view, _) = match session::settled(&mut feed).await {
        Ok(start) => watch.first(start),
        // That no agent answers is what this command is asked to show.
        Err(failure) if failure.code() == UNREACHABLE && !feed.views.borrow().nodes.is_empty() => {
            printer.print(&report(&feed.views.borrow().clone(), Timestamp::now()))?;
            return Err(failure);
        }
        Err(failure) => return Err(failure),
    };
    loop {
        let moment = session::moment(&view);
        printer.print_at(&report(&view, moment), moment)?;
        for note in view.notes.iter().chain(&view.missing) {
            printer.note(&format!("note: {note}"));
        }
        match watch.next(&mut feed, view.id).await {
            Some(next) => view = next,
            None => break,
        }
    }
    printer.judge(&view)?;
    let ill = view.nodes.iter().filter(|node| node.state != NodeState::Ok).count();
    if ill > 0 {
        return Err(Failure::runtime(format_args!(
            "{ill} of {} agents do not answer with fresh snapshots",
            view.nodes.len()
        )));
    }
    Ok(())
}

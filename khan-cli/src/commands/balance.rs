//! `khan balance`: how the connections to services are spread over their endpoints, the most uneven first.

use std::process::ExitCode;

use super::printer::Printer;
use super::session::{self, Watch};
use crate::args::Cli;
use crate::args::balance_args::BalanceArgs;
use crate::connect;
use crate::model::balance::{Spread, balances};
use crate::report::balance::report;
use khan_serve::exit::Failure;

/// Prints once or again and again, and fails with 5 when asked to and a service is uneven.
pub(crate) async fn run(cli: &Cli, args: &BalanceArgs) -> Result<ExitCode, Failure> {
    let mut query = args.query.query(&args.selectors, cli.kube.scope()).map_err(Failure::configuration)?;
    let rule = args.rule.rule();
    query.limit = 0;
    let mut printer = Printer::new(cli)?;
    query.labels = connect::labelled::pods(&cli.kube, args.query.selector.as_deref()).await?;
    let mut feed = connect::with_endpoints(cli, &query.clone().by_pod(), &query).await?;
    let mut watch = Watch::new(cli.output.watch, cli.output.count, cli.source.interval);
    let (mut view, _) = watch.first(session::settled(&mut feed).await?);
    let uneven = loop {
        let mut found = balances(&view, &query, &rule);
        let uneven = found.iter().filter(|balance| balance.spread == Spread::Uneven).count();
        if let Some(limit) = args.query.limit.filter(|limit| *limit > 0) {
            found.truncate(limit);
        }
        let moment = session::moment(&view);
        printer.print_at(&report(&found, &view.services, &query, &rule, view.gaps(), moment), moment)?;
        if view.services.left_out > 0 {
            printer.note(&format!(
                "note: {} more services are dialled; only those with the most connections were looked at",
                view.services.left_out
            ));
        }
        printer.explain(&view);
        match watch.next(&mut feed, view.id).await {
            Some(next) => view = next,
            None => break uneven,
        }
    };
    if args.exit_code && uneven > 0 {
        let are = if uneven == 1 { "1 service is" } else { &format!("{uneven} services are") };
        return Err(Failure::problem(format_args!("{are} uneven (--exit-code)")));
    }
    printer.judge(&view)?;
    Ok(ExitCode::SUCCESS)
}

//! `extend whitelist sync`

use std::time::Duration;

use extend_common::exit::Exit;
use extend_proto::v1;

use super::{list, show, verdict};
use crate::cli::args::FormatArgs;
use crate::cli::client::ask_for;
use crate::cli::confirm::{self, Confirm};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::text::count;
use crate::cli::view::whitelist::Whitelist;

/// The controller waits for its enforcers for less.
const LIMIT: Duration = Duration::from_secs(60);

/// The options of `whitelist sync`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Take away entries that Extend has made and that belong to no server it knows
    #[arg(long)]
    prune: bool,

    /// Do not ask before orphans are taken away
    #[arg(long, requires = "prune")]
    yes: bool,

    #[command(flatten)]
    output: FormatArgs,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    const DOING: &str = "sync the whitelist";
    let prune = if args.prune {
        let found = list::read(context, DOING).await?;
        verdict(DOING, &found)?;
        orphans(context, &found, args.yes).await?
    } else {
        Vec::new()
    };
    let mut client = context.client().await?;
    let request = v1::SyncWhitelistRequest { prune };
    let answer = ask_for(DOING, LIMIT, client.rpc().sync_whitelist(request)).await?;
    let whitelist = Whitelist::try_from(answer)?;
    let exit = verdict(DOING, &whitelist)?;
    show(context, args.output.format, &whitelist)?;
    Ok(exit)
}

/// The orphans that are to go, when somebody who has seen them wants that.
async fn orphans(
    context: &Context,
    found: &Whitelist,
    yes: bool,
) -> Result<Vec<v1::OrphanRef>, Failure> {
    let orphans: Vec<_> = found.orphans().collect();
    if orphans.is_empty() {
        context.output.say("there are no orphans");
        return Ok(Vec::new());
    }
    if !yes {
        confirm::terminal_or_refuse(context, "take orphans away")?;
        let lines: String = orphans
            .iter()
            .map(|(enforcer, entry)| {
                format!("\n  {}  {}  {enforcer}", entry.net, entry.description)
            })
            .collect();
        let question = Confirm {
            question: format!(
                "This takes {} away that Extend has made and that no server needs that it knows of:{lines}\nIf a server of another controller, or of an older backup, is among them, it is kept out from then on.",
                count(orphans.len(), "entry"),
            ),
            expected: "yes".to_owned(),
            how: "Type yes to confirm: ",
        };
        confirm::confirm(context, question).await?;
    }
    let refs = orphans.into_iter().map(|(enforcer, entry)| v1::OrphanRef {
        enforcer: enforcer.to_owned(),
        id: entry.id.clone(),
    });
    Ok(refs.collect())
}

//! The measurements, one file each, and the run that strings them together.

mod fanout;
mod hang;
mod idle;
mod memory;
mod restart;
mod revival;
mod silence;
mod sizes;
mod status;
mod upgrade;

use std::fs;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::args::Measure;
use crate::controller::Controller;
use crate::figure::{Figure, Results};
use crate::fleet::Fleet;
use crate::load::Load;
use crate::machine::Machine;
use crate::operator::Operator;
use crate::part::Part;

/// Where the results and the table are written, within `--out`.
const RESULTS: &str = "results.json";
const TABLE: &str = "figures.md";

/// The sizes of the fan-out; the simulated fleet grows from one to the next.
const SIZES: [u32; 3] = [100, 1_000, 10_000];
/// At which size the controller's memory and its revival are measured.
const MIDDLE: u32 = 1_000;

/// Measures what is asked for, and writes down what came of it.
pub(crate) async fn run(args: &Measure) -> anyhow::Result<ExitCode> {
    let mut sheet = Sheet::new(args);
    if sheet.wants(Part::Sizes) {
        let figures = sizes::measure(args);
        sheet.take("sizes", figures);
    }
    if sheet.parts.iter().any(|part| part.is_real()) {
        let outcome = real(args, &mut sheet).await;
        sheet.note("the servers in the Docker Engine", outcome);
    }
    if sheet.parts.iter().any(|part| part.is_simulated()) {
        let outcome = simulated(args, &mut sheet).await;
        sheet.note("the simulated agents", outcome);
    }
    sheet.finish(args)
}

async fn real(args: &Measure, sheet: &mut Sheet) -> anyhow::Result<()> {
    eprintln!("four servers in the Docker Engine");
    let mut fleet = Fleet::up(args).await?;
    // The quiet minute first: what comes after leaves traces in everybody's memory.
    if sheet.wants(Part::Idle) {
        sheet.take("idle", idle::measure(args, &mut fleet).await);
    }
    if sheet.wants(Part::Status) {
        sheet.take("status", status::measure(args, &fleet));
    }
    if sheet.wants(Part::Restart) {
        sheet.take("restart", restart::measure(args, &fleet).await);
    }
    if sheet.wants(Part::Upgrade) {
        sheet.take("upgrade", upgrade::measure(args, &fleet).await);
    }
    if sheet.wants(Part::Silence) {
        sheet.take("silence", silence::measure(args, &mut fleet).await);
    }
    if sheet.wants(Part::Hang) {
        sheet.take("hang", hang::measure(args, &fleet).await);
    }
    Ok(())
}

/// A controller with simulated agents.
struct Site {
    controller: Controller,
    operator: Operator,
    load: Load,
}

impl Site {
    /// Brings the fleet to a size, each with a server.
    async fn grow(&mut self, size: u32) -> anyhow::Result<()> {
        if self.load.size() < size {
            eprintln!("{size} simulated agents: joining and deploying");
            self.load.grow(&self.operator, size).await?;
            self.load.deploy(&self.operator).await?;
        }
        Ok(())
    }
}

async fn simulated(args: &Measure, sheet: &mut Sheet) -> anyhow::Result<()> {
    let sizes: &[u32] = if args.brief { &SIZES[..2] } else { &SIZES };
    let most = sizes.last().copied().unwrap_or(MIDDLE);
    // First: the controller inherits what this process may open.
    let load = Load::new(most)?;
    let image = format!("{}:22.3.0", args.repository);
    let mut controller = Controller::new(&args.bin, &args.dir.join("simulated"), &image)?;
    let operator = controller.start().await?;
    let mut site = Site {
        controller,
        operator,
        load,
    };
    for &size in sizes {
        if sheet.wants(Part::FanOut) {
            site.grow(size).await?;
            sheet.take("fan-out", fanout::measure(args, &mut site).await);
        }
        if size != MIDDLE {
            continue;
        }
        if sheet.wants(Part::Memory) {
            site.grow(size).await?;
            sheet.take("memory", memory::measure(args, &mut site).await);
        }
        if sheet.wants(Part::Revival) {
            site.grow(size).await?;
            sheet.take("revival", revival::measure(args, &mut site).await);
        }
    }
    Ok(())
}

/// What has been measured so far.
struct Sheet {
    parts: Vec<Part>,
    results: Results,
}

impl Sheet {
    fn new(args: &Measure) -> Self {
        let all = <Part as clap::ValueEnum>::value_variants();
        let parts = if args.only.is_empty() {
            all.to_vec()
        } else {
            args.only.clone()
        };
        Self {
            parts,
            results: Results {
                machine: Machine::look(),
                profile: args.profile.clone(),
                brief: args.brief,
                figures: Vec::new(),
                failed: Vec::new(),
            },
        }
    }

    fn wants(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    fn take(&mut self, what: &str, figures: anyhow::Result<Vec<Figure>>) {
        match figures {
            Ok(figures) => {
                eprintln!("{what}: measured");
                self.results.figures.extend(figures);
            }
            Err(error) => self.note(what, Err(error)),
        }
    }

    fn note(&mut self, what: &str, outcome: anyhow::Result<()>) {
        if let Err(error) = outcome {
            eprintln!("{what}: {error:#}");
            self.results.failed.push(format!("{what}: {error:#}"));
        }
    }

    fn finish(self, args: &Measure) -> anyhow::Result<ExitCode> {
        fs::create_dir_all(&args.out)?;
        let document = serde_json::to_vec_pretty(&self.results)?;
        fs::write(args.out.join(RESULTS), document).context("writing the results")?;
        let table = self.results.markdown();
        fs::write(args.out.join(TABLE), &table).context("writing the table")?;
        println!("{table}");
        Ok(if self.results.failed.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

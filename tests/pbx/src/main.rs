//! `extend-pbx-standin`: the stand-in as a process, told what to suffer from over a control port.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use extend_pbx_standin::{Options, StandIn, control};
use tokio::net::TcpListener;

/// Stands in for the REST API of a PortSIP PBX. For tests.
#[derive(Debug, Parser)]
struct Args {
    /// Where the API listens
    #[arg(long, default_value = "127.0.0.1:8887")]
    listen: SocketAddr,

    /// Where commands are taken
    #[arg(long, default_value = "127.0.0.1:0")]
    control: SocketAddr,

    /// The account
    #[arg(long, default_value = "extend")]
    username: String,

    /// A file with its password
    #[arg(long)]
    password_file: PathBuf,

    /// The version of the PBX
    #[arg(long, default_value = "22.3.0")]
    version_of_pbx: String,

    /// Where the certificate is written, for the controller to pin
    #[arg(long)]
    certificate: Option<PathBuf>,

    /// The PBX hears at once of every server that is registered
    #[arg(long)]
    online_at_once: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let password = std::fs::read_to_string(&args.password_file)
        .with_context(|| format!("cannot read {}", args.password_file.display()))?;
    let options = Options {
        listen: args.listen,
        username: args.username,
        password: password.trim_end().to_owned(),
        version: args.version_of_pbx,
        tls12: false,
    };
    let standin = StandIn::start(options)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    standin.state().online_at_once = args.online_at_once;
    let control = TcpListener::bind(args.control)
        .await
        .with_context(|| format!("cannot listen on {}", args.control))?;
    if let Some(path) = &args.certificate {
        std::fs::write(path, standin.pem())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    announce(&standin, control.local_addr()?);
    control::serve(control, standin.shared()).await?;
    Ok(())
}

/// For whoever has started it: one line, once it can be reached.
#[expect(clippy::print_stdout, reason = "the one line that says where it is")]
fn announce(standin: &StandIn, control: SocketAddr) {
    println!("api {} control {control}", standin.url());
}

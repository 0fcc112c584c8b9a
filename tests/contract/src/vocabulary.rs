//! Everything that the client can say, said to the stand-in.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use extend_common::roles::Resource;
use extend_controller::pbx::{NewIpFilter, PasswordSource, Pbx, PbxError, PbxLimits, PbxSettings};
use extend_controller::portal::{Limits, Registration};
use extend_pbx_standin::{Call, Options, StandIn};

/// What was said and answered.
pub(crate) async fn speak() -> anyhow::Result<Vec<Call>> {
    let directory = tempfile::tempdir()?;
    let standin = StandIn::start(Options::default()).await?;
    let pbx = client(&standin, directory.path())?;
    pbx.info().await?;
    pbx.admin_status().await?;
    for resource in Resource::ALL {
        for (public, limits) in [
            (Some(Ipv4Addr::new(54, 215, 234, 52)), Limits::default()),
            (None, limits()),
        ] {
            server(&pbx, resource, public, limits).await?;
        }
    }
    whitelist(&pbx).await?;
    tokens(&standin, &pbx).await?;
    refusals(&standin, &pbx, directory.path()).await?;
    let state = standin.state();
    ensure!(
        state.violations.is_empty(),
        "the stand-in refused: {}",
        state.violations.join(", ")
    );
    Ok(state.record.clone())
}

fn client(standin: &StandIn, directory: &Path) -> anyhow::Result<Pbx> {
    let (certificate, file) = (directory.join("pbx.crt"), directory.join("pbx.password"));
    fs::write(&certificate, standin.pem())?;
    fs::write(&file, Options::default().password)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    Ok(Pbx::new(PbxSettings {
        api: standin.url().parse()?,
        username: Options::default().username,
        password: PasswordSource {
            file,
            credentials: None,
        },
        certificate,
        limits: PbxLimits::default(),
    }))
}

fn limits() -> Limits {
    Limits {
        max_sessions: Some(1000),
        max_rooms: Some(50),
        max_participants: Some(300),
    }
}

async fn server(
    pbx: &Pbx,
    resource: Resource,
    public: Option<Ipv4Addr>,
    limits: Limits,
) -> anyhow::Result<()> {
    let new = Registration {
        name: "server-1".parse()?,
        resource,
        private: Ipv4Addr::new(172, 31, 16, 139),
        public,
        limits,
        enabled: None,
    };
    let id = pbx.create_server(&new).await?;
    // The built-in one too: it is online.
    for server in pbx.servers(resource).await? {
        pbx.server_status(resource, &server.id).await?;
    }
    pbx.server(resource, &id).await?;
    pbx.set_enabled(resource, &id, false).await?;
    pbx.set_enabled(resource, &id, true).await?;
    pbx.destroy_server(resource, &id).await?;
    Ok(())
}

async fn whitelist(pbx: &Pbx) -> anyhow::Result<()> {
    let now = jiff::Timestamp::now();
    let mut new = NewIpFilter {
        address: Ipv4Addr::new(172, 31, 16, 139),
        expires: Some(now + Duration::from_secs(3650 * 24 * 3600)),
        description: "Extend: server-1 (private address)".to_owned(),
    };
    let id = pbx.create_ip_filter(&new).await?;
    new.expires = None;
    let other = pbx.create_ip_filter(&new).await?;
    new.expires = Some(now + Duration::from_secs(7300 * 24 * 3600));
    pbx.update_ip_filter(&id, &new).await?;
    pbx.ip_filters().await?;
    pbx.destroy_ip_filter(&id).await?;
    pbx.destroy_ip_filter(&other).await?;
    Ok(())
}

/// Given anew after their end, and refreshed ahead of it.
async fn tokens(standin: &StandIn, pbx: &Pbx) -> anyhow::Result<()> {
    {
        let mut state = standin.state();
        state.token_life = Duration::from_secs(1);
        state.expire_tokens(true);
    }
    for _ in 0..200 {
        pbx.admin_status().await?;
        if standin.state().refreshes > 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("the tokens were never refreshed")
}

/// A list in pages, and what the API refuses.
async fn refusals(standin: &StandIn, pbx: &Pbx, directory: &Path) -> anyhow::Result<()> {
    standin.state().page = 1;
    pbx.servers(Resource::MediaServers).await?;
    let id = pbx
        .servers(Resource::MediaServers)
        .await?
        .first()
        .map(|server| server.id.clone())
        .context("there is no built-in server")?;
    let refused = pbx.destroy_server(Resource::MediaServers, &id).await;
    ensure!(matches!(refused, Err(PbxError::Refused { .. })));
    standin.state().forbidden = true;
    ensure!(matches!(
        pbx.admin_status().await,
        Err(PbxError::Forbidden { .. })
    ));
    standin.state().two_factor = true;
    let other = client(standin, directory)?;
    ensure!(matches!(
        other.admin_status().await,
        Err(PbxError::TwoFactor { .. })
    ));
    Ok(())
}

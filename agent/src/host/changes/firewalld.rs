//! The role's ports through firewalld: a service of ours in the permanent configuration, and the
//! same ports in the one that is in force. firewalld is neither reloaded nor restarted: that drops
//! what others have set for the time being, and on a media host packets with it. The service takes
//! over by itself at the next reload or boot.

use std::path::Path;
use std::time::Duration;

use super::notes::{Notes, Opened};
use super::run::run;
use crate::host::{HostError, Places};

/// It is a Python program, and starts like one.
const LIMIT: Duration = Duration::from_secs(15);
const OPERATION: &str = "asking firewalld through";

pub(in crate::host) struct Firewall<'a> {
    command: &'a Path,
}

impl<'a> Firewall<'a> {
    pub(in crate::host) fn of(places: &'a Places) -> Self {
        Self {
            command: &places.firewall_cmd,
        }
    }

    /// Whether firewalld is there and runs. Where it does not there is nothing to be opened.
    pub(in crate::host) fn runs(&self) -> Result<bool, HostError> {
        if !self.command.exists() {
            return Ok(false);
        }
        Ok(run(self.command, &["--state"], LIMIT)?.status.success())
    }

    /// Lets the ports through, and says what was changed for it.
    pub(in crate::host) fn open(
        &self,
        service: &str,
        ports: &[String],
        notes: &mut Notes,
    ) -> Result<Vec<String>, HostError> {
        let zone = match &notes.changes.firewall {
            Some(opened) => opened.zone.clone(),
            None => self.ask(&["--get-default-zone"])?.trim().to_owned(),
        };
        let in_zone = format!("--zone={zone}");
        let of_service = format!("--service={service}");
        let services = self.words(&["--permanent", "--get-services"])?;
        let is_known = services.iter().any(|known| known == service);
        let held = if is_known {
            self.words(&["--permanent", &of_service, "--get-ports"])?
        } else {
            Vec::new()
        };
        let enabled = self.words(&["--permanent", &in_zone, "--list-services"])?;
        let in_force = self.words(&[&in_zone, "--list-services"])?;
        let open = self.words(&[&in_zone, "--list-ports"])?;
        let is_enabled = enabled.iter().any(|known| known == service);
        let missing: Vec<&String> = ports.iter().filter(|port| !held.contains(port)).collect();
        let spare: Vec<&String> = held.iter().filter(|port| !ports.contains(port)).collect();
        // The service is in force with the ports that it had at the last reload.
        let is_in_force = in_force.iter().any(|known| known == service) && missing.is_empty();
        let closed = ports
            .iter()
            .filter(|port| !is_in_force && !open.contains(port));
        let closed: Vec<&String> = closed.collect();
        if is_enabled && missing.is_empty() && spare.is_empty() && closed.is_empty() {
            return Ok(Vec::new());
        }

        let opened = notes.changes.firewall.get_or_insert_with(|| Opened {
            zone: zone.clone(),
            service: service.to_owned(),
            until_reload: Vec::new(),
        });
        let news = closed
            .iter()
            .filter(|port| !opened.until_reload.contains(port));
        let news: Vec<String> = news.map(|port| (*port).clone()).collect();
        opened.until_reload.extend(news);
        notes.keep()?;
        if !is_known {
            self.ask(&["--permanent", &format!("--new-service={service}")])?;
        }
        self.each(&["--permanent", &of_service], "--add-port", &missing)?;
        self.each(&["--permanent", &of_service], "--remove-port", &spare)?;
        if !is_enabled {
            self.ask(&["--permanent", &in_zone, &format!("--add-service={service}")])?;
        }
        self.each(&[&in_zone], "--add-port", &closed)?;
        Ok(vec![format!("firewalld service {service} in zone {zone}")])
    }

    /// Takes back what was opened, and says so.
    pub(in crate::host) fn close(&self, notes: &mut Notes) -> Result<Vec<String>, HostError> {
        let Some(opened) = notes.changes.firewall.clone() else {
            return Ok(Vec::new());
        };
        let Opened {
            zone,
            service,
            until_reload,
        } = opened;
        if !self.runs()? {
            let hint = format!(
                "firewall-offline-cmd --zone={zone} --remove-service={service} && \
                 firewall-offline-cmd --delete-service={service}"
            );
            return Err(HostError {
                hint: Some(hint),
                ..HostError::new(OPERATION, self.command, "it does not run")
            });
        }
        let in_zone = format!("--zone={zone}");
        let remove = format!("--remove-service={service}");
        let in_force = self.words(&[&in_zone, "--list-services"])?;
        if in_force.contains(&service) {
            self.ask(&[&in_zone, &remove])?;
        }
        let open = self.words(&[&in_zone, "--list-ports"])?;
        let ours: Vec<&String> = until_reload
            .iter()
            .filter(|port| open.contains(port))
            .collect();
        self.each(&[&in_zone], "--remove-port", &ours)?;
        let enabled = self.words(&["--permanent", &in_zone, "--list-services"])?;
        if enabled.contains(&service) {
            self.ask(&["--permanent", &in_zone, &remove])?;
        }
        let known = self.words(&["--permanent", "--get-services"])?;
        if known.contains(&service) {
            self.ask(&["--permanent", &format!("--delete-service={service}")])?;
        }
        notes.changes.firewall = None;
        notes.keep()?;
        Ok(vec![format!("firewalld service {service} removed")])
    }

    /// One call with an option for each port.
    fn each(&self, front: &[&str], option: &str, ports: &[&String]) -> Result<(), HostError> {
        if ports.is_empty() {
            return Ok(());
        }
        let options: Vec<String> = ports
            .iter()
            .map(|port| format!("{option}={port}"))
            .collect();
        let mut arguments = front.to_vec();
        arguments.extend(options.iter().map(String::as_str));
        self.ask(&arguments).map(drop)
    }

    fn words(&self, arguments: &[&str]) -> Result<Vec<String>, HostError> {
        let text = self.ask(arguments)?;
        Ok(text.split_whitespace().map(str::to_owned).collect())
    }

    fn ask(&self, arguments: &[&str]) -> Result<String, HostError> {
        let said = run(self.command, arguments, LIMIT)?;
        if said.status.success() {
            return Ok(said.text);
        }
        let last = said.text.lines().rev().find(|line| !line.trim().is_empty());
        let cause = format!(
            "`{}`: {}",
            arguments.join(" "),
            last.unwrap_or("it failed without a word").trim()
        );
        Err(HostError {
            hint: Some(
                "open the ports by your own means, and host_changes = false in \
                 /etc/extend/agent.toml"
                    .to_owned(),
            ),
            ..HostError::new(OPERATION, self.command, cause)
        })
    }
}

//! Which fields a body may have, which it must have, and what may be in them.

use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use serde_json::{Map, Value};

/// A field of a body.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) required: bool,
    pub(crate) holds: Holds,
}

/// What a field holds.
#[derive(Clone, Copy)]
pub(crate) enum Holds {
    Text(usize, usize),
    Bool,
    Int(i64),
    Word(&'static [&'static str]),
    Ipv4,
    Ipv6,
    Cidr,
    Time,
}

pub(crate) const fn must(name: &'static str, holds: Holds) -> Field {
    Field {
        name,
        required: true,
        holds,
    }
}

pub(crate) const fn may(name: &'static str, holds: Holds) -> Field {
    Field {
        name,
        required: false,
        holds,
    }
}

/// The fields of a body that is as it has to be.
pub(crate) fn check(body: &[u8], fields: &[Field]) -> Result<Map<String, Value>, String> {
    let Ok(Value::Object(map)) = serde_json::from_slice(body) else {
        return Err("the body is no JSON object".to_owned());
    };
    for (name, value) in &map {
        let Some(field) = fields.iter().find(|field| field.name == name) else {
            return Err(format!("there is no field {name}"));
        };
        fits(value, field.holds).map_err(|why| format!("{name}: {why}"))?;
    }
    match fields
        .iter()
        .find(|field| field.required && !map.contains_key(field.name))
    {
        Some(missing) => Err(format!("{} is missing", missing.name)),
        None => Ok(map),
    }
}

fn fits(value: &Value, holds: Holds) -> Result<(), String> {
    let text = || value.as_str().ok_or_else(|| format!("{value} is no text"));
    match holds {
        Holds::Bool => value
            .as_bool()
            .map(|_| ())
            .ok_or_else(|| format!("{value} is no boolean")),
        Holds::Int(least) => match value.as_i64() {
            Some(number) if (least..=i64::from(i32::MAX)).contains(&number) => Ok(()),
            _ => Err(format!("{value} is no number from {least} on")),
        },
        Holds::Text(least, most) => {
            let length = text()?.chars().count();
            if (least..=most).contains(&length) {
                Ok(())
            } else {
                Err(format!("{length} characters are not {least} to {most}"))
            }
        }
        Holds::Word(words) => {
            let word = text()?;
            if words.contains(&word) {
                Ok(())
            } else {
                Err(format!("{word} is none of {words:?}"))
            }
        }
        Holds::Ipv4 => parses::<Ipv4Addr>(text()?),
        Holds::Ipv6 => parses::<Ipv6Addr>(text()?),
        Holds::Cidr => cidr(text()?),
        Holds::Time => {
            let text = text()?;
            if !text.ends_with('Z') {
                return Err(format!("{text} is not in UTC"));
            }
            parses::<Timestamp>(text)
        }
    }
}

fn parses<T: std::str::FromStr>(text: &str) -> Result<(), String> {
    match text.parse::<T>() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("{text} is none")),
    }
}

/// An IPv4 network without bits of a host.
fn cidr(text: &str) -> Result<(), String> {
    let wrong = || format!("{text} is no network");
    let (address, length) = text.split_once('/').ok_or_else(wrong)?;
    let address: Ipv4Addr = address.parse().map_err(|_| wrong())?;
    let length: u32 = length.parse().map_err(|_| wrong())?;
    let host = match length {
        0 => u32::MAX,
        1..=31 => u32::MAX >> length,
        32 => 0,
        _ => return Err(wrong()),
    };
    if u32::from(address) & host != 0 {
        return Err(format!("{text} has bits of a host"));
    }
    Ok(())
}

//! Reads what a container was started with out of its command, with the role's own command as
//! the key: the word after `-n` is the name because the definition has `{name}` after `-n`.

use extend_common::hint::with_hint;
use extend_common::ids::ServerName;
use extend_common::record::Parameters;

/// What was given to the binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) name: ServerName,
    /// As it stands there: it may be no address of a node.
    pub(super) node: String,
    pub(super) parameters: Parameters,
}

/// Reads a command by the role's template.
///
/// # Errors
/// In words, when it cannot be read without doubt.
pub(super) fn read_back(template: &[String], command: &[String]) -> Result<Given, String> {
    let (Some(binary), Some(found)) = (template.first(), command.first()) else {
        return Err(unreadable("it has none"));
    };
    if binary != found {
        return Err(unreadable(&format!("it does not run {binary}")));
    }
    let get = |placeholder: &str| value(template, command, placeholder);
    let required = |placeholder: &str| {
        get(placeholder)?.ok_or_else(|| unreadable(&format!("its role does not say {placeholder}")))
    };
    let name = required("{name}")?;
    let name = name
        .parse()
        .map_err(|error: extend_common::ids::IdError| unreadable(&error.to_string()))?;
    let public = match get("{public_address}")? {
        None | Some("") => None,
        Some(text) => {
            let address = text.parse();
            Some(address.map_err(|error| unreadable(&format!("its public address: {error}")))?)
        }
    };
    Ok(Given {
        name,
        node: required("{node}")?.to_owned(),
        parameters: Parameters {
            pbx_address: required("{pbx_address}")?.to_owned(),
            public_address: public,
        },
    })
}

/// The word after the option that the template has before a placeholder; none when the template
/// does not have the placeholder.
fn value<'a>(
    template: &[String],
    command: &'a [String],
    placeholder: &str,
) -> Result<Option<&'a str>, String> {
    let Some(at) = template.iter().position(|word| word == placeholder) else {
        return Ok(None);
    };
    let option = at.checked_sub(1).and_then(|before| template.get(before));
    let Some(option) = option.filter(|option| option.starts_with('-')) else {
        let words = format!("its role has no option before {placeholder}");
        return Err(unreadable(&words));
    };
    let mut places = command
        .iter()
        .enumerate()
        .filter(|(_, word)| *word == option);
    let found = places.next().and_then(|(at, _)| command.get(at + 1));
    match (found, places.next()) {
        (Some(value), None) if !value.starts_with('-') => Ok(Some(value)),
        (_, Some(_)) => Err(unreadable(&format!("it has {option} twice"))),
        _ => Err(unreadable(&format!("it has no {option}"))),
    }
}

/// The command itself is not told: it may hold what is nobody's business.
fn unreadable(why: &str) -> String {
    with_hint(
        format!("its command cannot be read: {why}"),
        "docker inspect -f '{{json .Config.Cmd}}' CONTAINER (on the node)",
    )
}

//! Which of the known words was probably meant: for hints. Called by admission for the word after
//! `-s`, and for the keys of configuration files.

/// So many slips of a finger are forgiven.
const MOST_SLIPS: usize = 3;

/// The word nearest to `word`: one that begins with it, or one a few slips away. None when that
/// would be guessing.
pub fn nearest<'a>(word: &str, known: &'a [String]) -> Option<&'a String> {
    let word = word.to_lowercase();
    let begins = |known: &&String| word.len() >= 2 && known.starts_with(&word);
    let mut beginning = known.iter().filter(begins);
    if let (Some(only), None) = (beginning.next(), beginning.next()) {
        return Some(only);
    }
    known
        .iter()
        .map(|known| (strsim::levenshtein(&word, known), known))
        .filter(|(slips, _)| *slips <= MOST_SLIPS)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_and_beginnings_find_the_word() {
        let known = [
            "media-server-only",
            "meeting-server-only",
            "vr-server-only",
            "ivr-server-only",
        ]
        .map(str::to_owned);
        for (typed, meant) in [
            ("media", Some("media-server-only")),
            ("media-server", Some("media-server-only")),
            ("Media-Server-Only", Some("media-server-only")),
            ("medai-server-only", Some("media-server-only")),
            ("meeting-servers-only", Some("meeting-server-only")),
            ("ivr", Some("ivr-server-only")),
            ("me", None),
            ("disk-only", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, &known).map(String::as_str), meant, "{typed}");
        }
    }
}

//! Amounts of data as people read them.

/// An amount of data, as disks are sold: powers of ten, one digit after the point.
pub fn show(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1_000 {
        return format!("{bytes} bytes");
    }
    let mut tenths = bytes / 100;
    let mut unit = 0;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1_000;
        unit += 1;
    }
    format!(
        "{}.{} {}",
        tenths / 10,
        tenths % 10,
        UNITS.get(unit).copied().unwrap_or_default()
    )
}

/// Reads an amount: bytes, or `500MB`, `2GB`, `64KiB`.
///
/// # Errors
/// When it is none, or more than anybody has.
pub fn parse(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 8] = [
        ("kib", 1 << 10),
        ("mib", 1 << 20),
        ("gib", 1 << 30),
        ("kb", 1_000),
        ("mb", 1_000_000),
        ("gb", 1_000_000_000),
        ("b", 1),
        ("", 1),
    ];
    let text = text.trim().to_ascii_lowercase();
    let digits = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let found = UNITS.iter().find(|(word, _)| *word == unit.trim());
    let amount = found.and_then(|(_, factor)| number.parse::<u64>().ok()?.checked_mul(*factor));
    amount.ok_or_else(|| "write an amount of data, like 500MB or 2GB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("0", 0),
            ("12", 12),
            ("500MB", 500_000_000),
            ("2 gb", 2_000_000_000),
            ("64KiB", 65_536),
            ("1b", 1),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for wrong in [
            "",
            "MB",
            "-1",
            "1.5GB",
            "12 parsecs",
            "99999999999999999999",
            "99999999999GB",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_told_with_one_digit_after_the_point() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1_000, "1.0 kB"),
            (1_234_567, "1.2 MB"),
            (999_999_999, "999.9 MB"),
            (1_200_000_000, "1.2 GB"),
            (u64::MAX, "18446.7 PB"),
        ] {
            assert_eq!(show(bytes), text);
        }
    }
}

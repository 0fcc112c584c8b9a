//! Spark lines: one mark for each piece of time, low to high, and a mark of its own for a gap, so
//! that nobody takes "not known" for "fine" or for "down". Without colours.

/// What a terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    levels: [char; 8],
    gap: char,
}

const BLOCKS: Marks = Marks {
    levels: ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
    gap: '·',
};
/// Where the locale knows no such characters.
const ASCII: Marks = Marks {
    levels: ['_', '.', ',', '-', '~', '=', '*', '#'],
    gap: '?',
};

impl Marks {
    /// Those that this process's locale has.
    pub(crate) fn detect() -> Self {
        Self::of(|name| std::env::var(name).ok())
    }

    /// The first of the three that is set decides, as the C library has it.
    pub(crate) fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &&str| variable(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set);
        let charset = locale.unwrap_or_default().to_ascii_lowercase();
        match charset.contains("utf-8") || charset.contains("utf8") {
            true => BLOCKS,
            false => ASCII,
        }
    }

    /// A line of values up to `most`; more is as high as that.
    pub(crate) fn line(&self, values: impl IntoIterator<Item = Option<u64>>, most: u64) -> String {
        let mark = |value: Option<u64>| {
            let Some(value) = value else {
                return self.gap;
            };
            let most = most.max(1);
            let top = self.levels.len() as u128 - 1;
            // The highest mark is for all of it alone, and the lowest for none of it: one bad
            // second shows, and so does one good one.
            let level = u128::from(value.min(most)) * top / u128::from(most);
            let level = level.max(u128::from(value.min(1)));
            let level = usize::try_from(level).unwrap_or_default();
            self.levels.get(level).copied().unwrap_or(self.gap)
        };
        values.into_iter().map(mark).collect()
    }

    /// What the marks mean, where one is worth a word.
    pub(crate) fn legend(&self) -> String {
        let [lowest, .., highest] = self.levels;
        format!(
            "{lowest} none, {highest} all or the most, {} mostly not known",
            self.gap
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_and_all_have_marks_of_their_own_and_so_has_a_gap() {
        let values = [0, 1, 14, 15, 50, 99, 100, 500].map(Some);
        let values = || values.into_iter().chain([None]);
        assert_eq!(BLOCKS.line(values(), 100), "▁▂▂▂▄▇██·");
        assert_eq!(ASCII.line(values(), 100), "_...-*##?");
        assert_eq!(BLOCKS.line([Some(1)], u64::MAX), "▂");
        assert_eq!(BLOCKS.line([Some(0), Some(1)], 0), "▁█");
        assert_eq!(BLOCKS.line([Some(u64::MAX)], u64::MAX), "█");
        assert_eq!(BLOCKS.line([], 100), "");
    }

    #[test]
    fn the_locale_decides_as_the_c_library_has_it() {
        for (all, ctype, lang, expected) in [
            ("", "", "en_US.UTF-8", BLOCKS),
            ("", "", "de_DE.utf8", BLOCKS),
            ("C.UTF-8", "", "C", BLOCKS),
            ("C", "", "en_US.UTF-8", ASCII),
            ("", "POSIX", "en_US.UTF-8", ASCII),
            ("", "", "", ASCII),
            ("", "", "en_US.ISO-8859-1", ASCII),
        ] {
            let marks = Marks::of(|name| {
                let value = match name {
                    "LC_ALL" => all,
                    "LC_CTYPE" => ctype,
                    _ => lang,
                };
                Some(value.to_owned())
            });
            assert_eq!(marks, expected, "{all} {ctype} {lang}");
        }
    }
}

//! The options about compression, which all commands share.

use clap::Args;
use sotong::{Compression, CompressionLevel, WindowBits};

use super::exit::Failure;
use super::settings::wrong;

/// A larger message than any is never reached.
const THRESHOLD_BYTES_MAX: usize = 1 << 30;

#[derive(Debug, Args)]
pub(super) struct Compress {
    /// Compresses messages with peers that can (permessage-deflate)
    ///
    /// shared, which is what the option alone means: each message stands
    /// alone, an idle connection keeps nothing. windowed: a message may
    /// refer to those before it, and each connection keeps the last plain
    /// text. What is compressed together tells by its length what it has in
    /// common: leave it off where secrets stand next to text of strangers.
    #[arg(
        long,
        value_name = "shared|windowed",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "shared",
        verbatim_doc_comment
    )]
    compress: Option<String>,
    /// The largest window, 8 (256 bytes) to 15 (32 KiB)
    ///
    /// Without it 15 if shared, 12 if windowed.
    #[arg(long, value_name = "BITS", requires = "compress", allow_negative_numbers = true)]
    compress_window_bits: Option<String>,
    /// How hard to try, 1 (fast, the default) to 9
    #[arg(long, value_name = "LEVEL", requires = "compress", allow_negative_numbers = true)]
    compress_level: Option<String>,
    /// From which size on messages are compressed
    ///
    /// Without it 256 bytes if shared, 32 if windowed.
    #[arg(long, value_name = "BYTES", requires = "compress", allow_negative_numbers = true)]
    compress_from: Option<String>,
}

impl Compress {
    /// How messages are to be compressed; `None` for not at all.
    pub(super) fn check(&self) -> Result<Option<Compression>, Failure> {
        let Some(mode) = &self.compress else { return Ok(None) };
        let mut compression = match mode.as_str() {
            "shared" => Compression::shared(),
            "windowed" => Compression::windowed(),
            _ => return Err(wrong("--compress", mode, "it is either shared or windowed")),
        };
        if let Some(typed) = &self.compress_window_bits {
            let bits = typed.parse().ok().and_then(WindowBits::new);
            let bits = bits
                .ok_or_else(|| wrong("--compress-window-bits", typed, "a number from 8 to 15 is wanted"))?;
            compression = compression.with_window_bits(bits);
        }
        if let Some(typed) = &self.compress_level {
            let level = typed.parse().ok().and_then(CompressionLevel::new);
            let level =
                level.ok_or_else(|| wrong("--compress-level", typed, "a number from 1 to 9 is wanted"))?;
            compression = compression.with_level(level);
        }
        if let Some(typed) = &self.compress_from {
            let bytes = typed.parse().ok().filter(|bytes| *bytes <= THRESHOLD_BYTES_MAX);
            let wanted = format_args!("a number of bytes from 0 to {THRESHOLD_BYTES_MAX} is wanted");
            compression = compression
                .with_threshold_bytes(bytes.ok_or_else(|| wrong("--compress-from", typed, wanted))?);
        }
        Ok(Some(compression))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Alone {
        #[command(flatten)]
        compress: Compress,
    }

    fn check(typed: &str) -> Result<Option<Compression>, String> {
        let words = std::iter::once("sotong").chain(typed.split_whitespace());
        let alone = Alone::try_parse_from(words).map_err(|error| error.to_string())?;
        alone.compress.check().map_err(|failure| failure.line)
    }

    #[test]
    fn modes_and_their_settings_at_the_limits_and_past_them() {
        assert_eq!(check(""), Ok(None));
        assert_eq!(check("--compress"), Ok(Some(Compression::shared())));
        assert_eq!(check("--compress=shared"), Ok(Some(Compression::shared())));
        assert_eq!(check("--compress=windowed"), Ok(Some(Compression::windowed())));
        for bits in [8, 15] {
            let wanted = Compression::shared().with_window_bits(WindowBits::new(bits).expect("8 to 15"));
            assert_eq!(check(&format!("--compress --compress-window-bits {bits}")), Ok(Some(wanted)));
        }
        for level in [1, 9] {
            let wanted = Compression::shared().with_level(CompressionLevel::new(level).expect("1 to 9"));
            assert_eq!(check(&format!("--compress --compress-level {level}")), Ok(Some(wanted)));
        }
        for bytes in [0, THRESHOLD_BYTES_MAX] {
            let wanted = Compression::shared().with_threshold_bytes(bytes);
            assert_eq!(check(&format!("--compress --compress-from {bytes}")), Ok(Some(wanted)));
        }
        for (typed, why) in [
            ("--compress=zip", "--compress 'zip': it is either shared or windowed"),
            ("--compress=", "--compress"),
            ("--compress --compress-window-bits 7", "a number from 8 to 15"),
            ("--compress --compress-window-bits 16", "a number from 8 to 15"),
            ("--compress --compress-level 0", "a number from 1 to 9"),
            ("--compress --compress-level 10", "a number from 1 to 9"),
            ("--compress --compress-from -1", "a number of bytes"),
            ("--compress --compress-from 1073741825", "a number of bytes"),
            ("--compress-level 3", "--compress"),
        ] {
            let error = check(typed).expect_err(typed);
            assert!(error.contains(why), "{typed}: {error}");
        }
    }
}

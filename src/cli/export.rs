//! `coinmill export`: quotes and prices as files in dated folders, with a bar while they are written.
//! Reading and writing are the pipeline's work.

use std::path::{Path, PathBuf};

use chrono::NaiveDate;

use super::layout::wrapped;
use super::settings::SettingArguments;
use super::{COMPLETE, print, progress};
use crate::error::Result;
use crate::pipeline::{self, Exported, FileFormat, Observer};
use crate::stop::Stopper;

/// A format of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Apache Parquet, compressed with zstd
    Parquet,
    /// Comma-separated values (RFC 4180): UTC stamps in ISO 8601, all digits, nulls empty
    Csv,
}

#[derive(Debug, clap::Args)]
pub(super) struct ExportArguments {
    /// The folder
    #[arg(long = "to", value_name = "DIR")]
    folder: PathBuf,
    /// The format of the files
    #[arg(long, value_enum, default_value = "parquet")]
    format: Format,
    /// From this day (UTC) on
    #[arg(long)]
    from: Option<NaiveDate>,
    /// Up to this day (UTC), which is not included
    #[arg(long)]
    until: Option<NaiveDate>,
    #[command(flatten)]
    settings: SettingArguments,
}

pub(super) async fn export(
    arguments: ExportArguments,
    json: bool,
    stopper: &Stopper,
) -> Result<u8> {
    let settings = arguments.settings.load()?;
    let format = match arguments.format {
        Format::Parquet => FileFormat::Parquet,
        Format::Csv => FileFormat::Csv,
    };
    let (folder, days) = (&arguments.folder, (arguments.from, arguments.until));
    let run = async |observer: &Observer<'_>| {
        pipeline::export(&settings, folder, format, days, observer).await
    };
    let exported = progress::shown(stopper, run).await?;
    print(json, &exported, || text(&exported, folder))?;
    Ok(COMPLETE)
}

fn text(exported: &Exported, folder: &Path) -> String {
    let Exported {
        files,
        quotes,
        points,
        absent,
    } = exported;
    let without = absent.as_ref().map_or_else(String::new, |absent| {
        let said = format!(
            "no prices: there is no database {absent} yet, `coinmill run timeseries` makes it"
        );
        format!("\n  {}", wrapped(&said, 2))
    });
    let said = format!(
        "{quotes} quotes and {points} price points in {files} {} under {}",
        if *files == 1 { "file" } else { "files" },
        folder.display()
    );
    format!("{}{without}", wrapped(&said, 0))
}

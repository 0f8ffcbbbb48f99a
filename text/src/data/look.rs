//! Data sets to look at before anything is trained on them.

use super::entry::{DatasetInfo, Format, Source};
use super::files::files_of;
use super::load::{DataSource, check_names};
use super::{Catalog, Kind};
use crate::error::Result;
use crate::hub::{Hubs, quietly};

impl DatasetInfo {
    /// What the rows hold, by the columns that the entry names.
    pub fn holds(&self) -> Kind {
        let columns = &self.columns;
        if self.ranking {
            Kind::Preference
        } else if columns.kto_tag.is_some() {
            Kind::Feedback
        } else if self.format == Format::Alpaca && columns.response.is_none() {
            Kind::Text
        } else {
            Kind::Supervised
        }
    }

    /// Whether rows can be taken as a stage needs them.
    ///
    /// # Errors
    /// Half a sentence, to follow the entry's name.
    pub fn check_kind(&self, kind: Kind) -> std::result::Result<(), String> {
        if self.ranking != (kind == Kind::Preference) {
            return Err(if self.ranking {
                "has \"ranking\": true, so it holds pairs of answers, which this stage does not train on"
                    .into()
            } else {
                "holds no pairs of answers (\"ranking\": true), which this stage needs".into()
            });
        }
        if self.columns.kto_tag.is_some() && kind == Kind::Supervised {
            return Err(
                "has a \"kto_tag\" column, so it is for KTO, which this stage does not train on".into()
            );
        }
        if kind == Kind::Feedback && self.columns.kto_tag.is_none() {
            return Err("has no \"kto_tag\" column, which this stage needs".into());
        }
        Ok(())
    }
}

impl Catalog {
    /// The data set called `name`, taken for what its columns say. Unlike [`Catalog::source`] this reads no file to
    /// its end and downloads nothing.
    ///
    /// # Errors
    /// If the entry is wrong, or its files are not on this machine.
    pub fn look(&self, name: &str) -> Result<DataSource> {
        self.look_in(name, &Hubs::from_env().in_cache())
    }

    pub(crate) fn look_in(&self, name: &str, caches: &Hubs) -> Result<DataSource> {
        let info = self.get(name)?;
        let error = |message: String| self.wrong(name, message);
        check_names(&info).map_err(error)?;
        let files = match &info.source {
            Source::File(path) => files_of(path)?,
            Source::Hub(hub) => {
                caches.data_files(hub, &info.split.name, &mut quietly).map_err(|e| error(absent(&e)))?
            }
        };
        let (kind, notes) = (info.holds(), info.notes.clone());
        Ok(DataSource { info, files, kind, notes, pending: None, catalog: self.path().to_owned() })
    }
}

fn absent(error: &crate::hub::Error) -> String {
    match error {
        crate::hub::Error::Offline { what, .. } => {
            format!("{what} is not downloaded yet; a run that uses it downloads it")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_say_what_rows_hold() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect(name);
        write("d.jsonl", "{}\n");
        write(
            "dataset_info.json",
            r#"{"answers": {"file_name": "d.jsonl", "file_sha1": "00"},
                "text": {"file_name": "d.jsonl", "columns": {"prompt": "text"}},
                "pairs": {"file_name": "d.jsonl", "ranking": true},
                "judged": {"file_name": "d.jsonl", "formatting": "sharegpt",
                           "columns": {"messages": "m", "kto_tag": "label"}},
                "none": {"file_name": "d.jsonl", "columns": {"response": "output"}},
                "hub": {"hf_hub_url": "chandler-tests/not-in-any-cache"}}"#,
        );
        let catalog = Catalog::open(folder.path()).expect("the catalog");
        for (name, kind) in [
            ("answers", Kind::Supervised),
            ("text", Kind::Text),
            ("pairs", Kind::Preference),
            ("judged", Kind::Feedback),
        ] {
            assert_eq!(catalog.look(name).expect(name).kind, kind, "{name}");
        }
        for (name, expected) in [("none", "\"prompt\""), ("hub", "not downloaded")] {
            let message = catalog.look(name).expect_err(name).to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}

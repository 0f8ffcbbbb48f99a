//! How the tables came to be: one step a file of `migrations/`, run in order on databases that lack it.
//!
//! Listed by hand: sqlx's macro for it would compile sqlx and SQLite twice, once more for the compiler.

use sqlx::{
    SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
};

/// Version, description, text. A file that was released never changes: its checksum is in the databases.
const STEPS: [(i64, &str, &str); 7] = [
    (1, "runs", include_str!("../../../migrations/0001_runs.sql")),
    (2, "time at work", include_str!("../../../migrations/0002_time_at_work.sql")),
    (3, "stretches", include_str!("../../../migrations/0003_stretches.sql")),
    (4, "metrics", include_str!("../../../migrations/0004_metrics.sql")),
    (5, "kind", include_str!("../../../migrations/0005_kind.sql")),
    (6, "loss", include_str!("../../../migrations/0006_loss.sql")),
    (7, "points", include_str!("../../../migrations/0007_points.sql")),
];

pub(super) fn migrations() -> Migrator {
    first(STEPS.len())
}

/// The first `count` steps: the tables of an earlier version.
pub(super) fn first(count: usize) -> Migrator {
    let migration = |(version, description, sql): &(i64, &'static str, &'static str)| {
        Migration::new(*version, (*description).into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(STEPS.iter().take(count).map(migration).collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_file_is_listed() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
        let mut files: Vec<_> = folder
            .read_dir()
            .expect("the folder of migrations")
            .map(|entry| entry.expect("a file").file_name().to_string_lossy().into_owned())
            .collect();
        files.sort();
        let listed =
            super::STEPS.map(|(version, about, _)| format!("{version:04}_{}.sql", about.replace(' ', "_")));
        assert_eq!(files, listed);
    }
}

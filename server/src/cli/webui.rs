//! `chandler webui`

use tracing_subscriber::EnvFilter;

use super::CliError;
use crate::{
    config::Folders,
    datasets::upload,
    serve::{ServeConfig, serve},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address to listen on; any but a loopback address needs a password
    #[arg(long, env = "CHANDLER_HOST", default_value = "127.0.0.1")]
    host: String,
    #[arg(long, env = "CHANDLER_PORT", default_value_t = 7860)]
    port: u16,
    /// Asked of everyone who opens the board [default on a network address: a new one, printed once]
    #[arg(long, env = "CHANDLER_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// Further host names that the board answers to, behind a proxy for instance
    #[arg(long, env = "CHANDLER_ALLOW_HOST", value_name = "NAME", value_delimiter = ',')]
    allow_host: Vec<String>,
    /// Runs that may train at the same time
    #[arg(long, env = "CHANDLER_SLOTS", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    slots: u16,
    /// Largest file that is uploaded into the data folder, in MiB
    #[arg(long, env = "CHANDLER_LARGEST_UPLOAD", default_value_t = upload::LARGEST >> 20, value_name = "MIB")]
    largest_upload: u64,
    #[command(flatten)]
    folders: Folders,
}

pub fn run(args: Args) -> Result<(), CliError> {
    let filter =
        EnvFilter::try_from_env("CHANDLER_LOG").unwrap_or_else(|_| EnvFilter::new("warn,server=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let config = ServeConfig {
        host: args.host,
        port: args.port,
        allow_host: args.allow_host,
        // An empty variable, as compose files leave it, is no password.
        password: args.password.filter(|password| !password.is_empty()),
        folders: args.folders,
        slots: args.slots.into(),
        largest_upload: args.largest_upload.saturating_mul(1 << 20),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(config))?;
    // A thread that still counts a dataset's rows must not keep the process.
    runtime.shutdown_background();
    Ok(())
}

//! `chandler webui`

use std::io::{self, IsTerminal};

use clap::builder::FalseyValueParser;
use tracing_subscriber::EnvFilter;

use super::{CliError, words::NotUnderstood};
use crate::{
    config::Folders,
    datasets::upload,
    security::{NotAnAddress, PublicUrl},
    serve::{ServeConfig, serve},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
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
    /// Address that browsers open where a proxy stands before the board: https://NAME, with a port or a folder if need be
    #[arg(long, env = "CHANDLER_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// Runs that may train at the same time
    #[arg(long, env = "CHANDLER_SLOTS", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    slots: u16,
    /// Stop runs with a checkpoint when the server ends, and resume them when it is back; else they train on
    #[arg(long, env = "CHANDLER_STOP_RUNS_ON_EXIT", value_parser = FalseyValueParser::new())]
    stop_runs_on_exit: bool,
    /// Go on by itself with runs that were cut off while the server was away, as when the machine went down: from
    /// their newest checkpoint, at most twice from the same one
    #[arg(long, env = "CHANDLER_RESUME_INTERRUPTED", value_parser = FalseyValueParser::new())]
    resume_interrupted: bool,
    /// Largest file that is uploaded into the data folder, in MiB
    #[arg(long, env = "CHANDLER_LARGEST_UPLOAD", default_value_t = upload::LARGEST >> 20, value_name = "MIB")]
    largest_upload: u64,
    /// Memory for keys and values of the chat's answers, all together, in MiB; who does not fit waits [default: half of
    /// what is left when a model is loaded]
    #[arg(long, env = "CHANDLER_CHAT_CACHE", value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..))]
    chat_cache: Option<u64>,
    #[command(flatten)]
    folders: Folders,
}

impl Args {
    /// An empty variable, as compose files leave it, is no password.
    fn password(&self) -> Option<String> {
        self.password.clone().filter(|password| !password.is_empty())
    }

    fn public_url(&self) -> Result<Option<PublicUrl>, NotUnderstood> {
        let given = self.public_url.as_deref().filter(|url| !url.is_empty());
        let read =
            |url: &str| url.parse().map_err(|e: NotAnAddress| NotUnderstood(format!("--public-url: {e}")));
        given.map(read).transpose()
    }
}

pub(super) fn run(args: Args) -> Result<(), CliError> {
    let filter =
        EnvFilter::try_from_env("CHANDLER_LOG").unwrap_or_else(|_| EnvFilter::new("warn,server=info"));
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(io::stderr);
    // What cannot be logged is not printed either: standard error is where it could not be written.
    log.log_internal_errors(false).init();
    let config = ServeConfig {
        password: args.password(),
        public_url: args.public_url()?,
        host: args.host,
        port: args.port,
        allow_host: args.allow_host,
        folders: args.folders,
        slots: args.slots.into(),
        stop_runs_on_exit: args.stop_runs_on_exit,
        resume_interrupted: args.resume_interrupted,
        largest_upload: args.largest_upload.saturating_mul(1 << 20),
        chat_cache: args.chat_cache,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(config))?;
    // A thread that still counts a dataset's rows must not keep the process.
    runtime.shutdown_background();
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn a_board_is_for_this_machine_unless_told_otherwise() {
        let read = |line: &[&str]| Line::try_parse_from([&["webui"], line].concat()).map(|line| line.args);
        let plain = read(&[]).unwrap();
        assert_eq!((plain.host.as_str(), plain.port), ("127.0.0.1", 7860));
        assert!(plain.password().is_none() && !plain.stop_runs_on_exit);
        assert_eq!(read(&["--password", ""]).unwrap().password(), None);
        assert!(read(&["--stop-runs-on-exit"]).unwrap().stop_runs_on_exit);
    }
}

//! The command line: one file per subcommand.

mod chat;
mod check;
mod env;
mod expand;
mod health;
mod loftq;
mod not_yet;
mod progress;
mod serve_data;
mod serve_model;
mod train;
mod version;
mod webui;
mod words;

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
};

use clap::{
    Parser, Subcommand,
    builder::{
        Styles,
        styling::{AnsiColor, Style},
    },
};

use words::NotUnderstood;

/// Fine-tune large language models and talk to them, from a browser or from here.
#[derive(Debug, Parser)]
#[command(name = "chandler", version, styles = styles(), arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the dashboard
    Webui(webui::Args),
    /// Train as a recipe says
    Train(train::Args),
    /// Talk to a model
    Chat(chat::Args),
    /// Add blocks to a model that can be trained alone (LLaMA Pro)
    Expand(expand::Args),
    /// Round a model to what four bits hold, with an adapter that begins with what they lose (LoftQ)
    #[command(name = "loftq")]
    LoftQ(loftq::Args),
    /// The process behind the dashboard's chat
    #[command(hide = true)]
    ServeModel(serve_model::Args),
    /// The processes behind the dashboard's pages of data sets
    #[command(hide = true)]
    ServeData(serve_data::Args),
    /// Ask the dashboard on this machine how it is; fails unless it is well
    Health(health::Args),
    /// Show the version, the commit and what of this CPU is used
    Version,
    /// Show what a bug report needs: program, system, processor, folders, hubs and variables
    Env(env::Args),
    #[command(hide = true)]
    Api(not_yet::Args),
    #[command(hide = true)]
    Webchat(not_yet::Args),
    #[command(hide = true)]
    Export(not_yet::Args),
    #[command(hide = true)]
    Eval(not_yet::Args),
}

/// As clap has it for what it does not understand itself.
const NOT_UNDERSTOOD: u8 = 2;

/// Anything that ends a command: one sentence for the user.
pub type CliError = Box<dyn std::error::Error + Send + Sync>;

/// Reads the command line and does what it says. Exit codes: 0 done, 1 failed, 2 not understood.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(message) = engine::kernel::level::check().and(engine::memory::check()) {
        complain(&message);
        return ExitCode::FAILURE;
    }
    engine::limits::bound_pool();
    let done = |()| ExitCode::SUCCESS;
    let ended = match cli.command {
        Command::Webui(args) => webui::run(args).map(done),
        Command::Train(args) => train::run(&args),
        Command::Chat(args) => chat::run(&args).map(done),
        Command::Expand(args) => expand::run(&args).map(done),
        Command::LoftQ(args) => loftq::run(&args).map(done),
        Command::ServeModel(args) => serve_model::run(args).map(done),
        Command::ServeData(args) => serve_data::run(args).map(done),
        Command::Health(args) => health::run(&args).map(done),
        Command::Version => version::run().map(done),
        Command::Env(args) => env::run(&args).map(done),
        Command::Api(_) => Err(not_yet::refuse("api", "`chandler webui` and `chandler chat` talk to models")),
        Command::Webchat(_) => Err(not_yet::refuse("webchat", "`chandler webui` has a page for chats")),
        Command::Export(_) => Err(not_yet::refuse("export", "adapters are written as PEFT reads them")),
        Command::Eval(_) => Err(not_yet::refuse(
            "eval",
            "`chandler train` with `do_eval: true` measures the loss on a dataset",
        )),
    };
    match ended {
        Ok(code) => code,
        Err(e) => {
            complain(&e.to_string());
            if e.is::<NotUnderstood>() { ExitCode::from(NOT_UNDERSTOOD) } else { ExitCode::FAILURE }
        }
    }
}

fn complain(what: &str) {
    let style = if io::stderr().is_terminal() {
        Style::new().bold().fg_color(Some(AnsiColor::Red.into()))
    } else {
        Style::new()
    };
    eprintln!("{style}error:{style:#} {what}");
}

fn styles() -> Styles {
    Styles::styled()
        .header(AnsiColor::Yellow.on_default().bold())
        .usage(AnsiColor::Yellow.on_default().bold())
        .literal(AnsiColor::Green.on_default())
        .placeholder(AnsiColor::Cyan.on_default())
}

//! `chandler chat`

use std::{
    fs,
    io::{self, BufRead, IsTerminal, Write},
    ops::ControlFlow,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use app::api::{ChatMessage, Sampling};
use engine::kernel::on_pool;
use recipe::Recipe;
use signal_hook::{consts::SIGINT, iterator::Signals};

use super::{CliError, overrides};
use crate::{
    chat::{self, Model},
    worker::problems_text,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A recipe that names model, adapter and template
    #[arg(required_unless_present = "model", value_name = "RECIPE")]
    recipe: Option<PathBuf>,
    /// Arguments that win over the recipe's
    #[arg(value_name = "KEY=VALUE", value_parser = overrides::parse)]
    overrides: Vec<(String, String)>,
    /// Model folder, .gguf file, or a model's name on a hub (owner/name)
    #[arg(long, value_name = "PATH", conflicts_with_all = ["recipe", "overrides"])]
    model: Option<PathBuf>,
    /// Adapter folder; several are applied one on the other
    #[arg(long = "adapter", value_name = "DIR", requires = "model")]
    adapters: Vec<PathBuf>,
    /// How prompts are written [default: the model's own chat template]
    #[arg(long, value_name = "NAME", requires = "model")]
    template: Option<String>,
    /// What the model is told before the conversation
    #[arg(long)]
    system: Option<String>,
    /// Longest answer, in tokens
    #[arg(long, default_value_t = Sampling::default().max_new_tokens, value_name = "COUNT")]
    max_new_tokens: usize,
    /// 0 always takes the likeliest token
    #[arg(long, default_value_t = Sampling::default().temperature)]
    temperature: f64,
    #[arg(long, default_value_t = Sampling::default().top_p)]
    top_p: f64,
    /// Makes answers repeatable
    #[arg(long)]
    seed: Option<u64>,
}

impl Args {
    fn sampling(&self) -> Sampling {
        Sampling {
            do_sample: self.temperature > 0.0,
            temperature: self.temperature,
            top_p: self.top_p,
            max_new_tokens: self.max_new_tokens,
            seed: self.seed,
            ..Sampling::default()
        }
    }

    fn source(&self) -> Result<chat::Weights, CliError> {
        if let Some(model) = &self.model {
            let (adapters, template) = (self.adapters.clone(), self.template.clone());
            return Ok(chat::Weights { model: model.clone(), revision: None, adapters, template });
        }
        let Some(path) = &self.recipe else { return Err("give a recipe, or --model".into()) };
        let text = fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        let recipe =
            Recipe::parse_yaml(&text, &self.overrides).map_err(|problems| problems_text(path, &problems))?;
        if recipe.model_name_or_path.is_empty() {
            return Err(format!("{}: `model_name_or_path` is missing", path.display()).into());
        }
        let model = PathBuf::from(&recipe.model_name_or_path);
        let adapters = recipe.adapter_name_or_path.iter().map(PathBuf::from).collect();
        let revision = Some(recipe.model_revision);
        Ok(chat::Weights { model, revision, adapters, template: recipe.template })
    }
}

pub fn run(args: Args) -> Result<(), CliError> {
    let interactive = io::stdin().is_terminal() && io::stdout().is_terminal();
    let source = args.source()?;
    let model = chat::load(&source)?;
    if interactive {
        println!("Type a message; `clear` begins anew, `exit` leaves, Ctrl-C breaks off an answer.");
    }
    let mut talk = Talk {
        model,
        sampling: args.sampling(),
        system: args.system,
        messages: Vec::new(),
        interactive,
        interrupt: Interrupt::listen()?,
    };
    talk.begin();
    talk.hold()
}

struct Talk<M> {
    model: M,
    sampling: Sampling,
    system: Option<String>,
    messages: Vec<ChatMessage>,
    interactive: bool,
    interrupt: Arc<Interrupt>,
}

/// What Ctrl-C does: while an answer is written it ends the answer, otherwise the program.
#[derive(Default)]
struct Interrupt {
    answering: AtomicBool,
    broken_off: AtomicBool,
}

impl Interrupt {
    fn listen() -> io::Result<Arc<Interrupt>> {
        let interrupt = Arc::new(Interrupt::default());
        let heard = interrupt.clone();
        let mut signals = Signals::new([SIGINT])?;
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for _ in signals.forever() {
                if !heard.answering.load(Ordering::Relaxed) {
                    println!();
                    std::process::exit(0);
                }
                heard.broken_off.store(true, Ordering::Relaxed);
            }
        })?;
        Ok(interrupt)
    }
}

impl<M: Model> Talk<M> {
    fn begin(&mut self) {
        let system = self.system.clone().map(|content| ChatMessage { role: "system".to_owned(), content });
        self.messages = system.into_iter().collect();
    }

    /// Ends with the input, or when told to.
    fn hold(&mut self) -> Result<(), CliError> {
        let mut input = io::stdin().lock();
        loop {
            self.prompt("User: ")?;
            let mut line = Vec::new();
            if input.read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            let Ok(line) = String::from_utf8(line) else {
                eprintln!("this is not UTF-8; set your terminal to it and try again");
                continue;
            };
            match line.trim() {
                "" => {}
                "exit" => return Ok(()),
                "clear" => {
                    self.begin();
                    eprintln!("The conversation begins anew.");
                }
                said => self.say(said)?,
            }
        }
    }

    fn say(&mut self, said: &str) -> Result<(), CliError> {
        self.messages.push(ChatMessage { role: "user".to_owned(), content: said.to_owned() });
        self.prompt("Assistant: ")?;
        self.interrupt.broken_off.store(false, Ordering::Relaxed);
        self.interrupt.answering.store(true, Ordering::Relaxed);
        let mut answer = String::new();
        let interrupt = self.interrupt.clone();
        let mut on_text = |text: &str| {
            answer.push_str(text);
            let written = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
            let go_on = written.is_ok() && !interrupt.broken_off.load(Ordering::Relaxed);
            if go_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let Self { model, messages, sampling, .. } = self;
        let answered = on_pool(|| model.answer(messages, sampling, &mut on_text));
        self.interrupt.answering.store(false, Ordering::Relaxed);
        println!();
        answered?;
        self.messages.push(ChatMessage { role: "assistant".to_owned(), content: answer });
        Ok(())
    }

    fn prompt(&self, text: &str) -> io::Result<()> {
        if self.interactive {
            print!("{text}");
            io::stdout().flush()?;
        }
        Ok(())
    }
}

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
use engine::{chat::ChatSource, kernel::on_pool};
use recipe::Recipe;
use signal_hook::{consts::SIGINT, iterator::Signals};

use super::{CliError, complain, overrides};
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
    /// Longest answer, in tokens [default: the recipe's, else 1024]
    #[arg(long, value_name = "COUNT")]
    max_new_tokens: Option<usize>,
    /// 0 always takes the likeliest token [default: the recipe's, else 0.95]
    #[arg(long)]
    temperature: Option<f64>,
    /// Draws from the likeliest tokens that together reach this probability [default: the recipe's, else 0.7]
    #[arg(long)]
    top_p: Option<f64>,
    /// Draws from the so many likeliest tokens; 0 = all [default: the recipe's, else 50]
    #[arg(long)]
    top_k: Option<usize>,
    /// Above 1, makes tokens that occurred before less likely [default: the recipe's, else 1]
    #[arg(long)]
    repetition_penalty: Option<f64>,
    /// Makes answers repeatable
    #[arg(long)]
    seed: Option<u64>,
}

impl Args {
    /// The recipe's, where the command line says nothing.
    fn sampling(&self, recipe: &Recipe) -> Sampling {
        let temperature = self.temperature.unwrap_or(recipe.temperature);
        Sampling {
            // A temperature on the command line asks for sampling, whatever the recipe says.
            do_sample: temperature > 0.0 && (recipe.do_sample || self.temperature.is_some()),
            temperature,
            top_p: self.top_p.unwrap_or(recipe.top_p),
            top_k: self.top_k.unwrap_or(recipe.top_k),
            max_new_tokens: self.max_new_tokens.unwrap_or(recipe.max_new_tokens),
            repetition_penalty: self.repetition_penalty.unwrap_or(recipe.repetition_penalty),
            seed: self.seed,
        }
    }

    fn source(&self, recipe: &Recipe) -> ChatSource {
        ChatSource {
            model: PathBuf::from(&recipe.model_name_or_path),
            revision: self.recipe.as_ref().map(|_| recipe.model_revision.clone()),
            adapters: recipe.adapter_name_or_path.iter().map(PathBuf::from).collect(),
            template: recipe.template.clone(),
            enable_thinking: self.recipe.as_ref().and(recipe.enable_thinking),
            use_cpu: recipe.use_cpu,
        }
    }

    /// The recipe that is named, or one of what the options say.
    fn recipe(&self) -> Result<Recipe, CliError> {
        if let Some(model) = &self.model {
            return Ok(Recipe {
                model_name_or_path: model.display().to_string(),
                adapter_name_or_path: self.adapters.iter().map(|path| path.display().to_string()).collect(),
                template: self.template.clone(),
                ..Recipe::default()
            });
        }
        let Some(path) = &self.recipe else { return Err("give a recipe, or --model".into()) };
        let text = fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        let recipe =
            Recipe::parse_yaml(&text, &self.overrides).map_err(|problems| problems_text(path, &problems))?;
        if recipe.model_name_or_path.is_empty() {
            return Err(format!("{}: `model_name_or_path` is missing", path.display()).into());
        }
        Ok(recipe)
    }
}

pub fn run(args: Args) -> Result<(), CliError> {
    let interactive = io::stdin().is_terminal() && io::stdout().is_terminal();
    let recipe = args.recipe()?;
    let model = chat::load(&args.source(&recipe))?;
    if interactive {
        println!("Type a message; `clear` begins anew, `exit` leaves, Ctrl-C breaks off an answer.");
    }
    let mut talk = Talk {
        model,
        sampling: args.sampling(&recipe),
        system: args.system.or(recipe.default_system),
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
        match answered {
            Ok(_) => self.messages.push(ChatMessage { role: "assistant".to_owned(), content: answer }),
            // Someone is there to say something shorter, or to begin anew.
            Err(why) if self.interactive => {
                self.messages.pop();
                complain(&why);
            }
            Err(why) => return Err(why.into()),
        }
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parse(words: &[&str]) -> Args {
        Line::parse_from([&["chat"], words].concat()).args
    }

    #[test]
    fn the_command_line_wins_over_the_recipe_and_that_over_defaults() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("chat.yaml");
        let text = "model_name_or_path: m\ntemplate: qwen3\nenable_thinking: false\nuse_cpu: true\n\
                    temperature: 0.5\ntop_k: 7\ndo_sample: false\nrepetition_penalty: 1.2\n";
        std::fs::write(&path, text).unwrap();
        let args = parse(&[path.to_str().unwrap(), "max_new_tokens=9", "--top-k", "3"]);
        let recipe = args.recipe().unwrap();
        let source = args.source(&recipe);
        assert_eq!((source.enable_thinking, source.use_cpu), (Some(false), true));
        let wanted = Sampling {
            do_sample: false,
            temperature: 0.5,
            top_k: 3,
            max_new_tokens: 9,
            repetition_penalty: 1.2,
            ..Sampling::default()
        };
        assert_eq!(args.sampling(&recipe), wanted);

        let args = parse(&["--model", "m", "--temperature", "0"]);
        let recipe = args.recipe().unwrap();
        assert_eq!((args.source(&recipe).enable_thinking, args.source(&recipe).revision), (None, None));
        let wanted = Sampling { do_sample: false, temperature: 0.0, ..Sampling::default() };
        assert_eq!(args.sampling(&recipe), wanted);
    }
}
